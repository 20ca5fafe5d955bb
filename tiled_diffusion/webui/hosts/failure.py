"""The error by which a job fails, as the WebUIs' API understands it."""

from __future__ import annotations

from fastapi import HTTPException

from tiled_diffusion.errors import OutOfMemoryError, TiledError

WRONG, NO_MEMORY = 422, 500


class JobError(TiledError, HTTPException):
    """Stops a job; the API answers with its text and its status.

    An HTTPException because the API writes the traceback of every other exception to the console.
    """

    def __init__(self, message: str, status: int = WRONG) -> None:
        Exception.__init__(self, message)
        self.detail, self.status_code, self.headers = message, status, None

    def __str__(self) -> str:
        return str(self.detail)


def job_error(title: str, error: Exception) -> JobError:
    """An error of ours as it leaves the job: whose it is, its text, and an HTTP status."""
    if isinstance(error, JobError):
        return error
    return JobError(f"{title}: {error}", NO_MEMORY if isinstance(error, OutOfMemoryError) else WRONG)
