// The page: takes the events, and draws at most once a picture of the screen.

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
let connection = "connecting", connected = true, waiting = false, wants = [], shows = false;

function draw() {
  waiting = false;
  for (const view of views) view.render(session);
  legend(session.started?.emotions ?? EMOTIONS);
  showKept(session);
  askConsent();
  visit.render(wants, agreed());
  camera.render(shows, agreed());
  showHealth(session, connected);
  showStatus(session, connection, connected);
}

function changed() {
  if (!waiting) requestAnimationFrame(draw);
  waiting = true;
}

async function look() {
  try {
    const answer = await fetch("state", {cache: "no-store"});
    if (answer.ok) ({connected, wants, shows} = await answer.json());
  } catch { /* the stream says so */ }
  changed();
}

new Stream(event => {
  if (event.type === "face") { faces.show(event.faces); return; }
  session.take(event);
  changed();
}, state => { connection = state; look(); }, "?faces=on");
setInterval(() => { if (!document.hidden) look(); }, INTERVAL);
prepareConsent(changed);
draw();
