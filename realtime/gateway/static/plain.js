// Events in plain words.

export const EMOTIONS = ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"];
export const MODALITIES = [["text", "Words"], ["audio", "Voice"], ["visual", "Face"]];

/** The style of an emotion; other label sets share one. */
export const css = label => EMOTIONS.includes(label) ? label : "other";

export const percent = share => `${Math.round(100 * share)} %`;

/** Media time as m:ss, from an hour on as h:mm:ss. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = number => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** How sure an answer is. */
export function sureness(emotion) {
  if (emotion.abstained) return "too unsure to use";
  const levels = [[.85, "very sure"], [.7, "sure"], [.5, "fairly sure"], [.35, "not very sure"]];
  const level = levels.find(([least]) => emotion.confidence >= least);
  return level ? level[1] : "hardly more than a guess";
}

/** The most probable emotion of a distribution. */
export function best(probabilities) {
  const pairs = Object.entries(probabilities ?? {});
  return pairs.length ? pairs.reduce((a, b) => b[1] > a[1] ? b : a) : ["no opinion", 0];
}

const REASONS = {
  "no video": "There is no camera or picture.",
  "no frames": "No picture came in time.",
  "no face in view": "No face is in view.",
  "no audio track": "The recording has no sound.",
  "no transcriber": "Nothing writes the words: no speech model is installed or chosen.",
  "no words recognised": "No words were recognised.",
};

/** Why a modality, or a part of it, is missing. */
export function missing(reason) {
  if (reason?.startsWith("words ") && reason.includes("left out")) {
    return `${first(reason.replace(/: .*/s, ""))}: the computer is too slow to read them in time.`;
  }
  return REASONS[reason] ?? `Missing: ${reason || "no reason was given"}.`;
}

/** Whether words, voice and face agree. */
export function agreement(modalities) {
  const present = MODALITIES.filter(([key]) => modalities[key].present)
    .map(([key, name]) => [name, best(modalities[key].probabilities)[0]]);
  if (present.length < 2) return "";
  const labels = new Set(present.map(([, label]) => label));
  if (labels.size === 1) return present.length === 3 ? "All three agree." : "Both agree.";
  if (labels.size === present.length) return present.length === 3 ? "All three differ." : "They differ.";
  const odd = present.find(([, label]) => present.filter(other => other[1] === label).length === 1);
  return `${odd[0]} differs from the other two.`;
}

const STAGES = {
  recording: "the reading of the recording", microphone: "the microphone", camera: "the camera",
  segment: "the detection of speech", transcribe: "speech recognition", watch: "the search for faces",
  recognise: "the emotion model", record: "the recorder", show: "the picture on this page",
};
const BUSY = "Close other programs, or choose a smaller speech model with --transcriber base.";

const count = (number, singular, plural) => number === 1 ? `1 ${singular}` : `${number} ${plural}`;
const first = text => text.charAt(0).toUpperCase() + text.slice(1);

/** What a gap or a change of health means: `say(number)` gives the sentence; `remedy` what helps. */
export function advice(event) {
  return event.type === "gap" ? gapAdvice(event) : healthAdvice(event);
}

function gapAdvice({what, count: number, seconds, reason}) {
  const length = seconds ? ` (${seconds.toFixed(1)} s)` : "";
  if (what === "frames" && reason.includes("did not keep up")) {
    const say = total => `${count(total, "picture was", "pictures were")} skipped: the computer is busy.`;
    return {key: "busy", number, say, remedy: "This does little harm. Fewer pictures: camera.rate=5."};
  }
  if (reason.startsWith("the visitor's") && reason.includes("is gone")) {
    const device = what === "audio" ? "microphone" : "camera";
    return {key: reason, number, say: () => `No ${device} is given now. It is waited for.`, remedy: "Open this page where it is, and allow it."};
  }
  if (what === "frames" && reason.includes("gone")) {
    return {key: reason, number, say: () => "The camera is gone. It is tried again.", remedy: "Look at its cable."};
  }
  if (what === "audio" && reason.includes("gone")) {
    return {key: reason, number, say: () => "The microphone is gone. It is tried again.", remedy: "Look at its cable."};
  }
  if (reason.includes(" back after")) {
    const device = what === "audio" ? "microphone" : "camera";
    return {key: reason, number, say: () => `The ${device} is back after ${seconds.toFixed(1)} s.`};
  }
  const things = {
    audio: () => seconds ? `${seconds.toFixed(1)} s of sound are missing` : "Sound is missing",
    frames: total => total ? `${count(total, "picture is", "pictures are")} missing${length}` : "Pictures are missing",
    utterance: total => `${count(total, "utterance was", "utterances were")} lost`,
    caption: total => `${count(total, "caption was", "captions were")} left out`,
    events: total => `${count(total, "event was", "events were")} lost`,
  };
  return {key: `${what} ${reason}`, number, say: total => `${things[what]?.(total) ?? what}: ${reason}.`};
}

function healthAdvice({stage, status, detail}) {
  const name = STAGES[stage] ?? stage;
  const sentences = {
    failed: `${first(name)} stopped (${detail}). It is started again.`,
    restarted: `${first(name)} works again.`,
    behind: `${first(name)} is ${detail.replace(" behind the conversation", "")} behind: answers come late.`,
    recovered: `${first(name)} has caught up.`,
    lost: `${first(name)} stopped several times. The session goes on without it.`,
  };
  return {
    key: `${stage} ${status} ${detail}`, number: 1, say: () => sentences[status] ?? `${name}: ${status}, ${detail}`,
    remedy: status === "behind" ? BUSY : undefined, good: status === "recovered" || status === "restarted",
  };
}

const THINGS = {sound: ["sound"], pictures: ["pictures"], events: ["words", "answers"]};

/** What is kept, as a state (`nothing`, `recording`, `replay`, `saved`, `unknown`) and a sentence; `saved`:
 *  whether somebody downloaded it from this page. */
export function kept({started, ended, last}, saved = false) {
  if (!last) return ["unknown", "No session has been seen yet, so it is not known whether anything is kept."];
  if (started && !started.kept && !started.started_at) {
    return ["replay", "This is a recording. Everything that you see was recorded before."];
  }
  const rest = ` Sound and pictures ${ended ? "were" : "are"} not.`;
  if (saved && !started?.kept?.length) {
    return ["saved", `DOWNLOADED: somebody saved words and answers from this page.${started?.kept ? rest : " It is not known what else is kept."}`];
  }
  if (!started?.kept) return ["unknown", "It is not known whether this session is kept. Ask who runs it."];
  if (!started.kept.length) {
    return ["nothing", `Nothing is kept. Sound, pictures and words ${ended ? "were" : "are"} used at once and not saved.`];
  }
  const names = started.kept.flatMap(name => THINGS[name] ?? [name]);
  const list = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
  return ["recording", `${ended ? "RECORDED" : "RECORDING"}: ${list} ${ended ? "were" : "are being"} saved.${started.kept.includes("sound") ? "" : rest}`];
}
