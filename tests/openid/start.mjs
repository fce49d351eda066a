// Starts a certified OpenID provider on this machine, with its own pages for signing in; any name and password do.
// Prints {"issuer": …}, then reads one line: {"clients": […], "claims": {login: claims of that person}}, and serves.
import { webcrypto } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

globalThis.crypto ??= webcrypto; // Node 18
const { default: Provider } = await import("oidc-provider");

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  createInterface({ input: process.stdin }).once("line", (line) => {
    const { clients, claims } = JSON.parse(line);
    const provider = new Provider(issuer, {
      clients,
      claims: { profile: ["preferred_username"], email: ["email", "email_verified"] },
      cookies: { keys: ["of a test"] },
      pkce: { required: () => true },
      findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...claims[id] }) }),
    });
    server.on("request", provider.callback());
    process.stdout.write("serving\n");
  });
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
