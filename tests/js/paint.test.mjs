// Pixels: shapes tell statuses apart, picking finds what is drawn, links of folded agents join.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Layout } from "../../workbench/front/graph_layout.js";
import { Painter, drawShape, fitting, isDark } from "../../workbench/front/graph_paint.js";
import { CALL, DONE, EXITED, FAILED, IDLE, INTERRUPTED, READING_ORDER, RUNNING, STATUS } from "../../workbench/front/graph_store.js";
import { Scene, fanOut, recorder } from "./tapes.mjs";

function painted(nodes, opened = []) {
  const scene = new Scene(nodes), { store } = scene;
  for (const link of opened) scene.open(...link);
  scene.play();
  const layout = new Layout(store);
  layout.rebuild();
  const painter = new Painter(store, layout, Array.from({ length: 4 }, () => ({ style: {}, getContext: () => recorder() })));
  painter.w = 860;
  painter.h = 380;
  painter.fit();
  return { store, layout, painter };
}

test("each status has a shape of its own, whatever its colour", () => {
  const drawings = STATUS.map((_, status) => {
    const pen = recorder();
    drawShape(pen, status, 0, 0, 6, "red", "white");
    return JSON.stringify(pen.calls);
  });
  assert.equal(new Set(drawings).size, STATUS.length);
});

test("a band leaves counts out when there is no room, those that matter most last", () => {
  const counts = new Int32Array(STATUS.length).fill(8), wide = () => 10;
  assert.deepEqual([...fitting(counts, wide, 110, 5)].sort(), [...READING_ORDER].sort());
  assert.deepEqual([...fitting(counts, wide, 45, 5)], [FAILED, INTERRUPTED, DONE, RUNNING]);
  assert.deepEqual([...fitting(counts, wide, 1, 5)], [FAILED]);
  counts.fill(0);
  counts[IDLE] = counts[EXITED] = 1;
  assert.deepEqual([...fitting(counts, wide, 20, 5)], [IDLE, EXITED]);
});

test("picking finds the chip under the pointer, and nothing beside it", () => {
  const { layout, painter } = painted(fanOut(8, RUNNING));
  for (let slot = 0; slot < layout.placed; slot++) {
    const a = painter.anchor(slot);
    assert.equal(painter.pick(a.x + a.w / 2, a.y), slot);
  }
  assert.ok(Number.isNaN(painter.pick(2, 2)));
});

test("picking finds a band by minus its parent minus one, and the dots of an open one", () => {
  const { layout, painter } = painted(fanOut(300, RUNNING));
  const a = painter.bandAnchor(1);
  assert.equal(painter.pick(a.x + a.w / 2, a.y), -2);
  layout.expanded.add(1);
  layout.rebuild();
  painter.fit();
  for (const slot of [2, 150, 301]) {
    const dot = painter.anchor(slot);
    assert.equal(painter.pick(dot.x + dot.w / 2, dot.y), slot);
  }
});

test("fitting brings everything into the picture, and never beyond life size", () => {
  for (const n of [1, 8, 50, 500]) {
    const { painter } = painted(fanOut(n));
    assert.equal(painter.spills(), false);
    assert.ok(painter.camera.k <= 1.1);
  }
});

test("the links of folded agents join into one at their band", () => {
  const { painter } = painted(fanOut(300, RUNNING), Array.from({ length: 300 }, (_, i) => [1, CALL, 2 + i, i]));
  painter.drawLinks();
  assert.equal(painter.links.calls.filter(([name]) => name === "bezierCurveTo").length, 1);
});

test("dark grounds are told from light ones in all ways of writing colours", () => {
  assert.deepEqual(["#111", "#111111", "rgb(17, 17, 17)", "black"].map(isDark), [true, true, true, true]);
  assert.deepEqual(["#fff", "#fafafa", "rgb(250 250 250)", "white", ""].map(isDark), [false, false, false, false, false]);
});
