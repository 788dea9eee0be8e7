// Runs session.ts as two tabs of one browser, against a running Tenantry and a service. Usage: tabs.mjs SESSION API SERVICE TENANT EMAIL PASSWORD
import assert from "node:assert/strict";

const [session, api, service, tenant, email, password] = process.argv.slice(2);

// What tabs of one browser share: localStorage, and locks that are granted in turn.
const items = new Map();
globalThis.localStorage = {
  getItem: (key) => items.get(key) ?? null,
  setItem: (key, value) => void items.set(key, value),
  removeItem: (key) => void items.delete(key),
};
let last = Promise.resolve();
const locks = { request: (_, action) => (last = last.catch(() => {}).then(action)) };
Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });

// Every request to Tenantry is recorded; drop says which answers are lost on the way.
const sent = [];
let drop = () => false;
const real = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  sent.push(input);
  const response = await real(input, init);
  if (drop(input)) throw new TypeError("network error");
  return response;
};
const refreshes = () => sent.filter((url) => url.endsWith("/auth/refresh")).length;

const { Problem, Session, SignedOut } = await import(session);
const orders = service + "/orders";

const first = new Session(api);
await assert.rejects(first.fetch(orders), SignedOut);
await assert.rejects(first.signIn(tenant, email, "not the password"), (e) => e instanceof Problem && e.code === "invalid_credentials");
await first.signIn(tenant, email, password);
const who = await (await first.fetch(orders)).json();
assert.deepEqual(who.roles, ["owner"]);
assert.equal(refreshes(), 0);
assert.ok(items.get("tenantry.device_token"));
assert.ok(![...items.values()].some((value) => value.startsWith("eyJ")), "an access token is stored");

// A second tab needs no password, and parallel requests share a refresh.
const second = new Session(api);
const answers = await Promise.all(Array.from({ length: 5 }, () => second.fetch(orders)));
assert.deepEqual(answers.map((r) => r.status), [200, 200, 200, 200, 200]);
assert.equal(refreshes(), 1);

// Tabs that open at once all stay signed in.
const tabs = Array.from({ length: 5 }, () => new Session(api));
for (const r of await Promise.all(tabs.map((tab) => tab.fetch(orders)))) assert.equal(r.status, 200);

// The answer to a refresh is lost: the next try goes on.
const third = new Session(api);
drop = (url) => url.endsWith("/auth/refresh");
await assert.rejects(third.fetch(orders), TypeError);
drop = () => false;
assert.equal((await third.fetch(orders)).status, 200);
const mine = await (await third.fetch(api + "/api/v1/auth/sessions")).json();
assert.equal(mine.items.length, 1, "one browser has one session");

// Signing out in one tab ends all of them.
await first.signOut();
await assert.rejects(second.fetch(api + "/api/v1/users/me"), SignedOut);
await assert.rejects(new Session(api).fetch(orders), SignedOut);
assert.deepEqual([...items.keys()], ["tenantry.device_token"]);
console.log("ok");
