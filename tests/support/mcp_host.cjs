// A host that speaks MCP by the official TypeScript client: it starts a server, and calls its tools for a test.
//
// Its argument is JSON: {"command", "args", "env"} of the server. First it prints {"pid", "tools"}: the server's, so that the
// client knows the schemas and compares each result with them. Then each line of stdin, {"id", "name", "arguments"}, is a
// call, answered by {"id", "result"} or {"id", "error"}; {"id", "progress"} stands before that. It ends the session when
// stdin ends.

const readline = require("node:readline");
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");

const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

async function call(client, { id, name, arguments: args }) {
  const onprogress = (progress) => print({ id, progress });
  try {
    print({ id, result: await client.callTool({ name, arguments: args }, undefined, { onprogress }) });
  } catch (error) {
    print({ id, error: String(error) });
  }
}

async function main() {
  const transport = new StdioClientTransport({ ...JSON.parse(process.argv[2]), stderr: "inherit" });
  const client = new Client({ name: "test", version: "1" });
  await client.connect(transport);
  const { tools } = await client.listTools();
  print({ pid: transport.pid, tools });
  for await (const line of readline.createInterface({ input: process.stdin })) call(client, JSON.parse(line));
  await client.close();
}

main();
