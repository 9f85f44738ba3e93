// Anthropic's package for Node, as an application would use it: anthropic.mjs TASK SCENE.
// The scene is a file with address, key and model, made by node_test.py, which also judges refusals.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.NODE_PATH}/`);
const Anthropic = require("@anthropic-ai/sdk");
const scene = JSON.parse(readFileSync(process.argv[3]));
const client = new Anthropic({
  baseURL: scene.url,
  apiKey: scene.key,
  maxRetries: 0,
  timeout: 30_000,
});
const model = scene.model;
const ask = { model, max_tokens: 200 };
const question = [{ role: "user", content: scene.text }];

const tasks = {
  async create() {
    const message = await client.messages.create({ ...ask, messages: question });
    assert.equal(message.model, model);
    assert.match(message.id, /^msg_/);
    assert.match(message.content[0].text, /Say hello\./);
    assert.equal(message.stop_reason, "end_turn");
    assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
  },

  async stream() {
    const plain = await client.messages.create({ ...ask, messages: question });
    let text = "";
    const stream = client.messages.stream({ ...ask, messages: question });
    stream.on("text", (piece) => (text += piece));
    const final = await stream.finalMessage();
    assert.equal(text, plain.content[0].text);
    assert.deepEqual(final.content, plain.content);
    assert.equal(final.stop_reason, "end_turn");
    assert.equal(final.usage.output_tokens, plain.usage.output_tokens);
  },

  async tools() {
    const turns = [{ role: "user", content: "How is the weather?" }];
    const more = { ...ask, tools: [scene.tool] };
    const first = await client.messages.stream({ ...more, messages: turns }).finalMessage();
    assert.equal(first.stop_reason, "tool_use");
    const calls = first.content.filter((block) => block.type === "tool_use");
    assert.deepEqual(
      calls.map((call) => call.input),
      [{ city: "Oslo" }, { city: "Tōkyō" }],
    );
    const results = calls.map((call) => ({
      type: "tool_result",
      tool_use_id: call.id,
      content: "3 degrees",
    }));
    turns.push({ role: "assistant", content: first.content }, { role: "user", content: results });
    const second = await client.messages.create({ ...more, messages: turns });
    assert.equal(second.content[0].text, "Cold in both.");
  },

  async count() {
    const count = await client.messages.countTokens({ model, messages: question });
    assert.ok(count.input_tokens > 0);
  },

  async models() {
    const ids = [];
    for await (const one of client.models.list({ limit: 1 })) ids.push(one.id);
    assert.ok(ids.includes(model), `${ids}`);
    assert.equal((await client.models.retrieve(model)).id, model);
  },

  async refused() {
    await assert.rejects(client.messages.create({ ...ask, messages: question }), (error) => {
      const { status, requestID, type } = error;
      const kinds = Object.keys(Anthropic).filter((name) => error.constructor === Anthropic[name]);
      const told = { kinds, status, requestID, type, body: error.error };
      console.log(JSON.stringify(told));
      return true;
    });
  },
};

await tasks[process.argv[2]]();
