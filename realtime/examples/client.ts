// Prints the utterances of a running session, from the page's WebSocket. In this folder:
// tsc && node client.js "http://127.0.0.1:8765/?token=…"
// Node 22 or later has WebSocket; Node 20 needs --experimental-websocket.
import type { Event } from "./events"

declare const process: { argv: string[] }

const address = new URL(process.argv[2])
address.protocol = address.protocol.replace("http", "ws")
address.pathname = "/events"
const socket = new WebSocket(address)
socket.onmessage = ({ data }) => {
  const event: Event = JSON.parse(data)
  if (event.type === "utterance") {
    const { utterance, emotion } = event
    const sure = emotion.abstained ? "unsure" : `${Math.round(emotion.confidence * 100)} %`
    console.log(`${utterance.speaker}: ${emotion.label} (${sure}) ${utterance.text}`)
  } else if (event.type === "session.ended") {
    socket.close()
  }
}
