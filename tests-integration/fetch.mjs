// Makes one request with Node's own `fetch`: `node fetch.mjs URL [username password]`, and prints
// the answer as JSON.
const [url, username, password] = process.argv.slice(2);
const headers = {};
if (username !== undefined) {
  const credentials = Buffer.from(`${username}:${password}`, "utf-8");
  headers.Authorization = `Basic ${credentials.toString("base64")}`;
}
const response = await fetch(url, { headers });
console.log(
  JSON.stringify({
    status: response.status,
    challenges: response.headers.get("www-authenticate"),
    body: await response.text(),
  }),
);
