// Node clients of the Responses API, as applications would use them: responses.mjs TASK SCENE.
// The scene is a file with address, key and model, made by responses_node_test.py.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.NODE_PATH}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const scene = JSON.parse(readFileSync(process.argv[3]));
const { model, text } = scene;
const settings = { baseURL: scene.url, apiKey: scene.key, maxRetries: 0, timeout: 30_000 };
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const weather = { type: "function", name: "weather", parameters, strict: true };

async function openai() {
  const { default: OpenAI } = await load("openai");
  return new OpenAI(settings);
}

const tasks = {
  async create() {
    const client = await openai();
    const response = await client.responses.create({ model, input: text });
    assert.equal(response.model, model);
    assert.match(response.output_text, /Say hello\./);
    assert.ok(response.usage.input_tokens > 0 && response.usage.output_tokens > 0);
  },

  async stream() {
    const client = await openai();
    const plain = await client.responses.create({ model, input: text });
    let told = "";
    const stream = client.responses.stream({ model, input: text });
    stream.on("response.output_text.delta", (event) => (told += event.delta));
    const final = await stream.finalResponse();
    assert.equal(told, plain.output_text);
    assert.equal(final.output_text, plain.output_text);
    assert.deepEqual(final.usage, plain.usage);
  },

  async parse() {
    const client = await openai();
    const format = { type: "json_schema", name: "weather", schema: parameters, strict: true };
    const response = await client.responses.parse({ model, input: text, text: { format } });
    assert.deepEqual(JSON.parse(response.output_text), { city: "Oslo" });
  },

  async tools() {
    const client = await openai();
    const input = [{ role: "user", content: text }];
    const more = { model, tools: [weather], store: false };
    const first = await client.responses.stream({ ...more, input }).finalResponse();
    const calls = first.output.filter((item) => item.type === "function_call");
    assert.equal(calls.length, 2);
    for (const { parsed_arguments, ...item } of first.output) input.push(item);
    for (const { call_id } of calls) {
      input.push({ type: "function_call_output", call_id, output: "3 degrees" });
    }
    const second = await client.responses.create({ ...more, input });
    assert.equal(second.output_text, "Cold in both.");
  },

  // The default model: the Responses API, and what was said before by reference.
  async aisdk() {
    const { createOpenAI } = await load("@ai-sdk/openai");
    const { generateText, streamText, jsonSchema, tool, isStepCount, stepCountIs } =
      await load("ai");
    const { baseURL, apiKey } = settings;
    const own = createOpenAI({ baseURL, apiKey })(model);
    const tools = {
      weather: tool({
        inputSchema: jsonSchema(parameters),
        execute: async ({ city }) => `3 degrees in ${city}`,
      }),
    };
    const stopWhen = (isStepCount ?? stepCountIs)(5);
    const messages = [{ role: "user", content: text }];
    const more = { model: own, tools, stopWhen, maxRetries: 0 };
    const first = await generateText({ ...more, messages });
    assert.equal(first.text, "Cold in both.");
    const said = first.responseMessages ?? first.response.messages;
    messages.push(...said, { role: "user", content: "And now?" });
    const second = streamText({ ...more, messages });
    assert.equal(await second.text, "Cold in both.");
  },

  async agents() {
    const { Agent, OpenAIResponsesModel, run, setTracingDisabled, tool } =
      await load("@openai/agents");
    setTracingDisabled(true);
    const agent = new Agent({
      name: "a",
      instructions: "Help.",
      model: new OpenAIResponsesModel(await openai(), model),
      tools: [
        tool({
          name: "weather",
          description: "The weather in a city.",
          parameters,
          strict: true,
          execute: async ({ city }) => `3 degrees in ${city}`,
        }),
      ],
    });
    const result = await run(agent, text);
    assert.equal(result.finalOutput, "Cold in both.");
  },
};

await tasks[process.argv[2]]();
