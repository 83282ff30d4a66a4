// Prints the utterances of a running session: npm install && node subscribe.mjs [ENDPOINT]
import { randomUUID } from "node:crypto"
import { Subscriber } from "zeromq"

const socket = new Subscriber({
  linger: 0, tcpKeepalive: 1, tcpKeepaliveIdle: 2, tcpKeepaliveInterval: 2, tcpKeepaliveCount: 3,
})
socket.connect(process.argv[2] ?? "tcp://127.0.0.1:5560")
// The publisher answers the last subscription: when the answer comes, all of them are active.
socket.subscribe("emotion ", "session ", `hello.${randomUUID()}`)
for await (const [message] of socket) {
  const text = message.toString()
  if (text.startsWith("hello.")) { console.error("connected"); continue }
  const event = JSON.parse(text.slice(text.indexOf(" ") + 1))
  if (event.type === "session.ended") break
  if (event.type !== "utterance") continue
  const { utterance, emotion } = event
  const sure = emotion.abstained ? "unsure" : `${Math.round(emotion.confidence * 100)} %`
  console.log(`${utterance.start.toFixed(2)} s  ${utterance.speaker}  ${emotion.label} (${sure})  ${utterance.text}`)
}
socket.close()
