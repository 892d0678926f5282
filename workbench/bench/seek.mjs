// Milliseconds that the page takes to go to points of a log: `node seek.mjs path/of/tape.js`, with rows in the folder.
// The best of three, so that the worst of all is the point's and not the machine's.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { Tape } = await import(pathToFileURL(process.argv[2]).href);
const head = JSON.parse(readFileSync("head.json", "utf-8"));
const rows = readFileSync("rows");
const tape = new Tape();
tape.apply(head, rows.buffer.slice(rows.byteOffset, rows.byteOffset + rows.byteLength));
const seek = (seq) => {
  const began = performance.now();
  tape.moment(seq);
  return performance.now() - began;
};
console.log(JSON.stringify(head.points.map((seq) => Math.min(seek(seq), seek(seq), seek(seq)))));
