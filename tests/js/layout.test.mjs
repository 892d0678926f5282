// Places: nobody stands on anybody, nobody moves, many siblings fold.
import assert from "node:assert/strict";
import { test } from "node:test";

import { CHIP, CHIP_H, CHIP_W, DOTTED, FOLD, HIDDEN, Layout } from "../../workbench/front/graph_layout.js";
import { DONE, EXITED, FAILED, INTERRUPTED, RETRYING, RUNNING, SUSPENDED } from "../../workbench/front/graph_store.js";
import { Scene, fanOut } from "./tapes.mjs";

function laidOut(nodes) {
  const scene = new Scene(nodes), { store } = scene;
  scene.play();
  const layout = new Layout(store);
  layout.rebuild();
  return { scene, store, layout };
}

/** Pseudo-random trees: `n` nodes, each hung on an earlier one. */
function tree(n, seed) {
  const nodes = [["Session()", -1, 0]];
  for (let i = 1; i < n; i++) { seed = (seed * 1103515245 + 12345) & 0x7fffffff; nodes.push([`Node(${i})`, Math.floor((seed / 0x7fffffff) ** 2 * i), DONE]); }
  return nodes;
}

function chips(layout) {
  return [...Array(layout.placed).keys()].filter((i) => layout.mode[i] === CHIP);
}

function assertApart(layout) {
  const seen = new Map();
  for (const i of chips(layout)) {
    const column = seen.get(layout.x[i]) ?? [];
    for (const y of column) assert.ok(Math.abs(y - layout.y[i]) >= CHIP_H, `two chips at ${layout.x[i]}, ${y} and ${layout.y[i]}`);
    column.push(layout.y[i]);
    seen.set(layout.x[i], column);
  }
  const xs = [...seen.keys()].sort((a, b) => a - b);
  xs.slice(1).forEach((x, i) => assert.ok(x - xs[i] >= CHIP_W));
}

for (const n of [2, 8, 50]) {
  test(`${n} children of one coordinator stand beside it in reading order, around its height`, () => {
    const { scene, layout } = laidOut(fanOut(n));
    const kids = chips(layout).slice(2);
    assert.equal(kids.length, n);
    kids.slice(1).forEach((k, i) => assert.ok(layout.x[k] > layout.x[kids[i]] || layout.y[k] > layout.y[kids[i]]));
    const first = kids.filter((k) => layout.x[k] === layout.x[kids[0]]), middle = (layout.y[first[0]] + layout.y[first.at(-1)]) / 2;
    assert.ok(Math.abs(middle - layout.y[1]) < CHIP_H);
    assertApart(layout);
  });
}

test("chips never overlap and children stand right of their parents, in trees of any shape", () => {
  for (let seed = 1; seed < 60; seed++) {
    const { store, layout } = laidOut(tree(10 + seed * 9, seed));
    assertApart(layout);
    for (const i of chips(layout)) if (store.parents[i] >= 0) assert.ok(layout.x[i] > layout.x[store.parents[i]]);
  }
});

test("a node once placed never moves while others come, one by one or in lots", () => {
  for (const lot of [1, 3, 17]) {
    const nodes = tree(200, lot), scene = new Scene(), layout = new Layout(scene.store), placed = new Map();
    for (let at = 0; at < nodes.length; at += lot) {
      scene.add(nodes.slice(at, at + lot)).play();
      if (layout.update()) placed.clear(); // a family folded
      for (const i of chips(layout)) {
        const place = [layout.x[i], layout.y[i]];
        if (placed.has(i)) assert.deepEqual(place, placed.get(i));
        placed.set(i, place);
      }
      assertApart(layout);
    }
  }
});

test("a big tree is about as wide as high", () => {
  const { layout } = laidOut(Array.from({ length: 5000 }, (_, i) => [`Node(${i})`, i ? Math.floor((i - 1) / 8) : -1, DONE]));
  const [l, t, r, b] = layout.bounds(), ratio = (r - l) / (b - t);
  assert.ok(ratio > 0.5 && ratio < 4, `ratio ${ratio}`);
});

test(`${FOLD} siblings are drawn, one more folds them into a band`, () => {
  const { scene, layout } = laidOut(fanOut(FOLD, RUNNING));
  assert.equal(layout.bands.size, 0);
  scene.add([["Worker(50)", 1, RUNNING]]).play();
  assert.equal(layout.update(), true);
  assert.equal(layout.bands.size, 1);
  assert.equal(layout.visible, 2);
  assert.equal(layout.bandOf(10), 1);
});

test("failed children come out of the band at once, and stay", () => {
  const { scene, layout } = laidOut(fanOut(200, RUNNING));
  scene.change([20, FAILED], [21, DONE]).play();
  assert.deepEqual(layout.refold(1, [20, 21]), [20]);
  assert.deepEqual([layout.mode[20], layout.mode[21]], [CHIP, HIDDEN]);
  const place = [layout.x[20], layout.y[20]];
  scene.change([30, FAILED]).play();
  layout.refold(1, [30]);
  assert.deepEqual([layout.x[20], layout.y[20]], place);
  assertApart(layout);
});

test("the longest running come out after a while and go back in when done", () => {
  const { scene, store, layout } = laidOut(fanOut(200, RUNNING));
  store.now = () => 1e7;
  scene.change([40, RUNNING, 10], [41, RUNNING, 20], [42, RUNNING, 30]).play();
  layout.refold(1);
  assert.deepEqual([...layout.bands.get(1).out.keys()], [40, 41, 42]);
  scene.change([41, DONE, 1e7]).play();
  assert.deepEqual(layout.refold(1, [41]), [41]);
  assert.equal(layout.mode[41], HIDDEN);
});

test("interrupted children come out like failed ones, and go back in when they go on; exited ones stay folded", () => {
  const { scene, layout } = laidOut(fanOut(200, RUNNING));
  scene.change([20, INTERRUPTED], [21, EXITED]).play();
  assert.deepEqual(layout.refold(1, [20, 21]), [20]);
  scene.change([20, DONE]).play();
  assert.deepEqual(layout.refold(1, [20]), [20]);
  assert.equal(layout.mode[20], HIDDEN);
});

test("among the longest at work those that are tried again come first", () => {
  const { scene, store, layout } = laidOut(fanOut(200, RUNNING));
  store.now = () => 1e7;
  scene.change([40, RUNNING, 10], [41, SUSPENDED, 20], [42, RUNNING, 30], [43, RETRYING, 40]).play();
  layout.refold(1);
  assert.deepEqual([...layout.bands.get(1).out.keys()], [43, 40, 41]);
});

test("a band opens into dots and folds again", () => {
  const { layout } = laidOut(fanOut(1000));
  layout.expanded.add(1);
  layout.rebuild();
  const dots = [...Array(layout.placed).keys()].filter((i) => layout.mode[i] === DOTTED);
  assert.equal(dots.length, 1000);
  assert.equal(new Set(dots.map((i) => `${layout.x[i]},${layout.y[i]}`)).size, 1000);
  const band = layout.bands.get(1);
  for (const i of dots) assert.ok(layout.x[i] > band.x && layout.x[i] < band.x + band.w && layout.y[i] > band.y && layout.y[i] < band.y + band.h);
  layout.expanded.delete(1);
  layout.rebuild();
  assert.equal(layout.visible, 2);
});

test("an open band takes newcomers in without moving anybody, while there is room", () => {
  const { scene, layout } = laidOut(fanOut(100));
  layout.expanded.add(1);
  layout.rebuild();
  const before = [layout.x[50], layout.y[50]];
  scene.add(Array.from({ length: 10 }, (_, i) => [`Worker(${100 + i})`, 1, DONE])).play();
  assert.equal(layout.update(), false);
  assert.deepEqual([layout.x[50], layout.y[50]], before);
  scene.add(Array.from({ length: 400 }, (_, i) => [`Worker(${110 + i})`, 1, DONE])).play();
  assert.equal(layout.update(), true);
  assert.equal(layout.visible, 2 + 510);
});

test("what hangs on a folded child is folded with it, and comes out with it", () => {
  const nodes = [...fanOut(100, RUNNING), ["Helper()", 10, DONE]];
  const { scene, layout } = laidOut(nodes);
  assert.equal(layout.mode[102], HIDDEN);
  assert.equal(layout.bandOf(102), 1);
  scene.change([10, FAILED]).play();
  layout.refold(1, [10]);
  assert.deepEqual([layout.mode[10], layout.mode[102]], [CHIP, CHIP]);
  assertApart(layout);
});
