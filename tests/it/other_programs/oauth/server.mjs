// The OAuth server of the tests: oauth2-mock-server, made by others, behind a door that keeps what it gave out, checks
// what a real provider checks, and does what a test tells it (POST /control). Beside it stands what a channel is asked
// for when it is connected. Prints its port.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// What scripts/test installed lies in the working folder.
const { OAuth2Server } = createRequire(pathToFileURL(`${process.cwd()}/here.js`))('oauth2-mock-server');

const CLIENTS = new Map([
  ['1111-box.apps.googleusercontent.com', 'GOCSPX-SENTINEL-box-secret'],
  ['2222-own.apps.googleusercontent.com', 'GOCSPX-SENTINEL-own-secret'],
]);

/// How it behaves; a test changes what it likes.
const mode = {
  lifetime: 3600,
  rotation: 'none', // none: the old refresh token stays, overlap: a new one and the old one too, strict: only the new one
  refresh: true, // whether a code gives a refresh token
  scope: null, // what is granted instead of what was asked for
  deny: null, // {error, error_description}: people come back with this and no code
  iss: null, // what it says to be
  token: null, // {status, body}: the answer of the token end
  revoke: null, // status of the revocation end
  channels: null, // {status, body}: the answer about the channel
  channel: 'UC_SENTINEL_one',
  title: 'Rain & Calm <b>',
  hold: false, // answers of the token end wait for {release: true}
};
const done = { authorize: 0, code: 0, refresh: 0, revoke: 0, channels: 0, pictures: 0, sent: 0, uploads: 0 };
const grants = new Map(); // refresh token → {family, live}
const access = new Map(); // access token → {family, until}
const codes = new Map(); // code → {scope, redirect, client}
const revoked = [];
let held = [];

const { issuer, service } = new OAuth2Server();
await issuer.keys.generate('RS256');

const kill = family => {
  for (const grant of grants.values()) if (grant.family === family) grant.live = false;
  for (const [token, kept] of access) if (kept.family === family) access.delete(token);
};

const refuse = (response, status, error, words) => {
  response.statusCode = status;
  response.body = { error, error_description: words };
};

service.on('beforeAuthorizeRedirect', (redirect, request) => {
  done.authorize += 1;
  const asked = request.query;
  const to = redirect.url.searchParams;
  for (const needed of ['client_id', 'scope', 'state', 'code_challenge']) if (!asked[needed]) throw new Error(`no ${needed}`);
  if (asked.code_challenge_method !== 'S256' || asked.access_type !== 'offline') throw new Error('asked for otherwise');
  codes.set(to.get('code'), { scope: asked.scope, redirect: asked.redirect_uri, client: asked.client_id });
  if (mode.iss) to.set('iss', mode.iss);
  if (mode.deny) {
    to.delete('code');
    for (const [name, value] of Object.entries(mode.deny)) to.set(name, value);
  }
});

service.on('beforeResponse', (response, request) => {
  const asked = request.body;
  if (CLIENTS.get(asked.client_id) !== asked.client_secret) return refuse(response, 401, 'invalid_client', 'who?');
  if (mode.token) {
    response.statusCode = mode.token.status;
    response.body = mode.token.body;
    return;
  }
  let family;
  if (asked.grant_type === 'authorization_code') {
    done.code += 1;
    const code = codes.get(asked.code);
    codes.delete(asked.code);
    if (!code || code.redirect !== asked.redirect_uri || code.client !== asked.client_id) {
      return refuse(response, 400, 'invalid_grant', 'Bad code');
    }
    family = randomUUID();
    response.body.scope = mode.scope ?? code.scope;
  } else {
    done.refresh += 1;
    const grant = grants.get(asked.refresh_token);
    if (!grant?.live) {
      // A provider that rotates strictly takes a second use for theft.
      if (grant && mode.rotation === 'strict') kill(grant.family);
      return refuse(response, 400, 'invalid_grant', 'Token has been expired or revoked.');
    }
    family = grant.family;
    grant.live = mode.rotation !== 'strict';
    delete response.body.scope;
  }
  const gives = asked.grant_type === 'authorization_code' ? mode.refresh : mode.rotation !== 'none';
  delete response.body.id_token;
  delete response.body.refresh_token;
  response.body.access_token = `ya29.SENTINEL-access-${randomUUID()}`;
  response.body.expires_in = mode.lifetime;
  access.set(response.body.access_token, { family, until: Date.now() + mode.lifetime * 1000 });
  if (gives) {
    response.body.refresh_token = `1//SENTINEL-refresh-${randomUUID()}`;
    grants.set(response.body.refresh_token, { family, live: true });
  }
});

const read = async request => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
};
const json = (response, status, body) => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
};
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==', 'base64');

const channels = (request, response) => {
  done.channels += 1;
  const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
  const kept = access.get(token);
  if (!kept || kept.until < Date.now()) return json(response, 401, { error: { code: 401, errors: [{ reason: 'authError' }] } });
  if (mode.channels) return json(response, mode.channels.status, mode.channels.body);
  const url = `http://127.0.0.1:${door.address().port}/picture.png`;
  json(response, 200, { items: [{ id: mode.channel, snippet: { title: mode.title, customUrl: '@rain', thumbnails: { default: { url } } } }] });
};

const control = async (request, response) => {
  const { release, drop, ...changes } = JSON.parse((await read(request)) || '{}');
  Object.assign(mode, changes);
  if (drop) for (const grant of grants.values()) grant.live = false;
  const waiting = release ? held : [];
  if (release) held = [];
  for (const end of waiting) end();
  json(response, 200, {
    done, held: held.length, revoked,
    live: [...grants.values()].filter(grant => grant.live).length,
  });
};

const door = createServer(async (request, response) => {
  const path = new URL(request.url, 'http://here').pathname;
  if (path === '/control') return control(request, response);
  if (path === '/picture.png') {
    done.pictures += 1;
    response.writeHead(200, { 'content-type': 'image/png' });
    return response.end(PNG);
  }
  if (path === '/youtube/v3/channels') return channels(request, response);
  if (path === '/upload/youtube/v3/videos') {
    // Upload sessions are opened; nothing gets through them.
    for await (const _ of request);
    const place = `http://127.0.0.1:${door.address().port}${path}?upload_id=${(done.uploads += 1)}`;
    if (request.method === 'POST') response.setHeader('location', place);
    return json(response, request.method === 'POST' ? 200 : 503, {});
  }
  if (path === '/revoke') {
    const token = new URLSearchParams(await read(request)).get('token');
    done.revoke += 1;
    if (mode.revoke) return json(response, mode.revoke, {});
    const kept = grants.get(token) ?? access.get(token);
    if (!kept) return json(response, 400, { error: 'invalid_token' });
    revoked.push(kept.family);
    kill(kept.family);
    return json(response, 200, {});
  }
  if (path === '/token') {
    const end = response.end.bind(response);
    response.end = (...all) => {
      const send = () => end(...all, () => { done.sent += 1; });
      if (mode.hold) held.push(send);
      else send();
      return response;
    };
  }
  service.requestHandler(request, response);
});
door.listen(0, '127.0.0.1', () => {
  issuer.url = `http://127.0.0.1:${door.address().port}`;
  console.log(door.address().port);
});
// Ends with the test that started it, however that ended.
process.stdin.resume().on('end', () => process.exit(0));
