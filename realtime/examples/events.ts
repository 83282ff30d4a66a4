// Written from the JSON Schema of gscon.events/1 by `make schema`; do not edit.

export interface SessionStarted {
  type: "session.started"
  schema: "gscon.events/1"
  session: string
  seq: number
  source: string
  emotions: string[]
  model: ModelInfo
  started_at?: string | null
  kept?: ("events" | "pictures" | "sound")[] | null
}

export interface ModelInfo {
  name: string
  version: string
}

export interface SessionEnded {
  type: "session.ended"
  schema: "gscon.events/1"
  session: string
  seq: number
  duration: number
  utterances: number
  complete: boolean
}

export interface SpeechStarted {
  type: "speech.started"
  schema: "gscon.events/1"
  session: string
  seq: number
  utterance: number
  start: number
}

export interface UtteranceEvent {
  type: "utterance"
  schema: "gscon.events/1"
  session: string
  seq: number
  utterance: UtteranceInfo
  emotion: Emotion
  modalities: Modalities
  model: ModelInfo
  latency?: Latency | null
}

export interface UtteranceInfo {
  id: number
  start: number
  end: number
  speaker: string
  text: string
  text_source: "asr" | "captions" | "none"
  language?: string | null
  language_probability?: number | null
  stable_text?: string | null
  words?: TimedWord[] | null
  overlap?: number | null
}

export interface TimedWord {
  word: string
  start: number
  end: number
  probability: number
}

export interface Emotion {
  label: string
  confidence: number
  probabilities: Record<string, number>
  abstained: boolean
  prior?: Record<string, number> | null
  model_label?: string | null
}

export interface Modalities {
  text: Modality
  audio: Modality
  visual: Modality
}

export interface Modality {
  present: boolean
  probabilities?: Record<string, number> | null
  reason?: string | null
  face?: number | null
  faces?: number | null
  faces_left_out?: number | null
  left_out?: string | null
}

export interface Latency {
  end_of_speech_to_event: number
  segmentation: number
  transcription: number
  features: number
  fusion: number
}

export interface Provisional {
  type: "provisional"
  schema: "gscon.events/1"
  session: string
  seq: number
  utterance: UtteranceInfo
  emotion: Emotion
  modalities: Modalities
  model: ModelInfo
  latency?: Latency | null
}

export interface Gap {
  type: "gap"
  schema: "gscon.events/1"
  session: string
  seq: number
  time: number
  what: "audio" | "caption" | "events" | "frames" | "utterance"
  count: number
  seconds: number
  reason: string
}

export interface Health {
  type: "health"
  schema: "gscon.events/1"
  session: string
  seq: number
  time: number
  stage: string
  status: "behind" | "failed" | "lost" | "recovered" | "restarted"
  detail: string
}

export interface FaceEvent {
  type: "face"
  schema: "gscon.events/1"
  session: string
  seq: number
  time: number
  faces: TrackedFace[]
}

export interface TrackedFace {
  track: number
  box: [number, number, number, number]
  speaks: boolean
  probabilities?: Record<string, number> | null
}

export type Event = SessionStarted | SessionEnded | SpeechStarted | UtteranceEvent | Provisional | Gap | Health | FaceEvent
