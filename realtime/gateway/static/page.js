// The page: takes the events, and draws at most once a picture of the screen.

import {Actions} from "./actions.js";
import {Answer} from "./answer.js";
import {Camera} from "./camera.js";
import {Conversation} from "./conversation.js";
import {Lanes, legend} from "./lanes.js";
import {agreed, askConsent, prepareConsent, showHealth, showKept, showStatus} from "./notices.js";
import {Faces} from "./faces.js";
import {EMOTIONS} from "./plain.js";
import {Session} from "./session.js";
import {Stream} from "./stream.js";
import {Visit} from "./visit.js";

/** Milliseconds between two looks at the gateway's own state. */
const INTERVAL = 3000;

// The cookie has the token from now on: nobody can read it from the screen or the history.
history.replaceState(null, "", location.pathname + location.hash);

const session = new Session();
const views = [new Answer(), new Lanes(), new Conversation()];
const visit = new Visit();
const faces = new Faces();
const camera = new Camera();
const actions = new Actions(look);
let connection = "connecting", waiting = false;
/** The gateway's own state. */
let state = {connected: true, wants: [], shows: false, stops: false, missing: 0, saved: null};

function draw() {
  waiting = false;
  for (const view of views) view.render(session);
  legend(session.started?.emotions ?? EMOTIONS);
  showKept(session, state.saved);
  askConsent();
  visit.render(state.wants, agreed());
  camera.render(state.shows, agreed());
  actions.render(session, state);
  showHealth(session, state.connected);
  showStatus(session, connection, state.connected);
}

function changed() {
  if (!waiting) requestAnimationFrame(draw);
  waiting = true;
}

async function look() {
  try {
    const answer = await fetch("state", {cache: "no-store"});
    if (answer.ok) state = await answer.json();
  } catch { /* the stream says so */ }
  changed();
}

new Stream(event => {
  if (event.type === "face") { faces.show(event.faces); return; }
  session.take(event);
  changed();
}, now => { connection = now; look(); }, "?faces=on");
setInterval(() => { if (!document.hidden) look(); }, INTERVAL);
prepareConsent(changed);
draw();
