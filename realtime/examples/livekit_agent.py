"""LiveKit Agents: keeps what changed in the context of an agent, for its next answer.

agent = Agent(instructions=f"You are kind. {INSTRUCTIONS}")
await session.start(agent=agent, room=ctx.room)
perceiving = asyncio.create_task(perceive(agent))
"""

from livekit.agents import Agent

from gscon_live.realtime.outlets.agents import perceptions, prompt_line


async def perceive(agent: Agent, endpoint: str = "tcp://127.0.0.1:5560") -> None:
    """Adds a message to the agent's context whenever somebody's emotion changes."""
    async for perceived in perceptions(endpoint):
        context = agent.chat_ctx.copy()
        context.add_message(role="developer", content=prompt_line(perceived))
        await agent.update_chat_ctx(context)
