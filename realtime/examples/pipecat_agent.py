"""Pipecat: puts what changed into the context of the language model, without a new answer.

Place it before the aggregator of the user's context:
    Pipeline([transport.input(), stt, EmotionPerception(), aggregator.user(), llm, tts, ...])
"""

from pipecat.frames.frames import CancelFrame, EndFrame, Frame, LLMMessagesAppendFrame, StartFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from gscon_live.realtime.outlets.agents import perceptions, prompt_line


class EmotionPerception(FrameProcessor):
    """Passes all frames on, and adds a message whenever somebody's emotion changes."""

    def __init__(self, endpoint: str = "tcp://127.0.0.1:5560") -> None:
        super().__init__()
        self._endpoint = endpoint
        self._task = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._task = self.create_task(self._follow())
        elif isinstance(frame, (EndFrame, CancelFrame)):
            await self._stop()

    async def cleanup(self) -> None:
        await super().cleanup()
        await self._stop()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            await self.cancel_task(task)

    async def _follow(self) -> None:
        async for perceived in perceptions(self._endpoint):
            message = {"role": "developer", "content": prompt_line(perceived)}
            await self.push_frame(LLMMessagesAppendFrame([message], run_llm=False))
