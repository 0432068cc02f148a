# SPDX-License-Identifier: Apache-2.0
"""Answers that say no: a status of HTTP and one line that says what to do."""


class Refusal(Exception):
    """A request that cannot be met.

    Args:
        status: Status code of HTTP.
        message: One line for the user, without a path of this machine.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
