// The scale: places and values are each other's inverse, breaks spare room, ticks say sensible times.
import assert from "node:assert/strict";
import { test } from "node:test";

import { IdleTimes, TimeAxis, foldShare, lengthText, stampText, timeStep } from "../../workbench/front/time_axis.js";

function axisOf(first, last, breaks = [], width = 1000) {
  const axis = new TimeAxis();
  Object.assign(axis, { left: 200, width, first, last });
  axis.fold(breaks);
  axis.k = axis.fitting(width - 40);
  axis.offset = -10;
  return axis;
}

test("pixels and values are each other's inverse, breaks or not, at any zoom", () => {
  for (const breaks of [[], [{ from: 1100, to: 5100 }], [{ from: 1000, to: 2000 }, { from: 2300, to: 9000 }]]) {
    const axis = axisOf(1000, 10000, breaks);
    assert.ok(Math.abs(axis.x(10000) - 1170) < 1e-6, "it fits");
    for (const by of [1, 3, 0.5]) {
      axis.zoom(by, 600, 1e-6);
      for (let x = 205; x < 1200; x += 37) assert.ok(Math.abs(axis.x(axis.value(x)) - x) < 1e-6);
    }
  }
});

test("zooming keeps what is under the pointer where it is", () => {
  const axis = axisOf(0, 1000, [{ from: 300, to: 700 }]), value = axis.value(640);
  axis.zoom(7, 640, 1e-6);
  assert.ok(Math.abs(axis.x(value) - 640) < 1e-6);
});

test("a break takes the same room whatever it spares, and is found by pointing", () => {
  const axis = axisOf(0, 1e7, [{ from: 100, to: 9999900 }]);
  assert.ok(Math.abs(axis.x(9999900) - axis.x(100) - axis.gap) < 1e-6);
  assert.equal(axis.breakAt(axis.x(100) + 5), 0);
  assert.equal(axis.breakAt(axis.x(50)), -1);
});

test("long idle stretches fold, short ones and busy ones do not", () => {
  const idle = new IdleTimes();
  for (const [wall, running] of [[0, 0], [1000, 1], [11000, 0], [12000, 1], [12500, 0], [62500, 1], [63000, 0]]) idle.note(wall, running);
  assert.deepEqual(idle.folds(63000, new Set()), [{ from: 1000, to: 11000 }]);
  assert.deepEqual(idle.folds(63000, new Set([1000])), [], "the reader unfolded it");
});

test("one hour between two cells folds, and so does each of many equal pauses", () => {
  const idle = new IdleTimes();
  let wall = 0;
  idle.note(wall, 0);
  for (let i = 0; i < 9; i++) { idle.note((wall += 3600e3), 0); idle.note((wall += 50), 1); }
  assert.equal(idle.folds(wall, new Set()).length, 9);
});

test("nobody ran while there was no process, whatever the log says", () => {
  const idle = new IdleTimes();
  for (const [wall, running] of [[0, 0], [100, 1], [60000, 1]]) idle.note(wall, running);
  assert.deepEqual(idle.folds(60000, new Set()), []);
  idle.restart(60000);
  assert.deepEqual(idle.folds(60000, new Set()), [{ from: 100, to: 60000 }]);
});

test("what has lasted since the last entry may fold too", () => {
  const idle = new IdleTimes();
  idle.note(0, 0);
  idle.note(300, 0);
  assert.deepEqual(idle.folds(60300, new Set(), { from: 300, to: 60300 }), [{ from: 300, to: 60300 }]);
});

test("a fold must spare more than the break takes", () => {
  assert.equal(foldShare(2000), 0.12);
  assert.ok(foldShare(300) > 0.2);
});

test("ticks stand apart, on round times, and never in a break", () => {
  const axis = axisOf(1000, 61000, [{ from: 11000, to: 51000 }]), ticks = axis.ticks(80);
  assert.ok(ticks.length > 4);
  ticks.forEach(({ x, value }, i) => {
    assert.ok(value <= 11000 || value >= 51000);
    if (i) assert.ok(x - ticks[i - 1].x >= 55);
  });
  assert.deepEqual(ticks.slice(0, 3).map((tick) => tick.text), ["0", "2 s", "4 s"]);
});

test("entries are counted in whole steps", () => {
  const axis = axisOf(1, 40);
  axis.byEntry = true;
  assert.ok(axis.ticks(80).every(({ value, text }) => Number.isInteger(value) && text === `#${value}`));
  axis.zoom(1000, 400, 1e-6);
  assert.ok(axis.ticks(80).every(({ value }) => Number.isInteger(value)));
});

test("an axis of one entry has no length and breaks nothing", () => {
  const axis = axisOf(5, 5);
  assert.ok(Number.isFinite(axis.x(5)) && Number.isFinite(axis.value(700)));
  assert.ok(axis.ticks(80).length >= 1);
});

test("times are as exact as the ticks are close", () => {
  assert.deepEqual([stampText(0, 1), stampText(40, 20), stampText(1200, 200), stampText(123500, 500), stampText(3723000, 1000), stampText(90061000, 1000)], ["0", "40 ms", "1.2 s", "2:03.5", "1:02:03", "1 d 1:01:01"]);
  assert.deepEqual([stampText(0.25, 0.05), stampText(999.9, 0.1), stampText(59999, 1000), stampText(60000, 1000)], ["0.25 ms", "999.9 ms", "1:00", "1:00"]);
  assert.deepEqual([0.3, 3, 40, 700, 4000, 50e3, 2e9].map(timeStep), [0.5, 5, 50, 1000, 5000, 60e3, 86400e3 * 50]);
});

test("lengths are for people", () => {
  assert.deepEqual([0.4, 9.25, 120, 3240, 302000, 7.5e6, 2e8, Infinity].map(lengthText), ["0.4 ms", "9.25 ms", "120 ms", "3.24 s", "5 min 2 s", "2 h 5 min", "2 d 7 h", ""]);
});
