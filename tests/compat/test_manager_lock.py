# SPDX-License-Identifier: Apache-2.0
"""An error in one of mmengine's managers does not stop the other threads."""

import threading

import pytest
from mmengine.logging import print_log
from mmengine.utils import ManagerMixin


class Broken(ManagerMixin):
    """A manager whose instances cannot be made."""

    def __init__(self, name: str = '') -> None:
        super().__init__(name)
        raise OSError('no such place')


def _logs_in_a_thread() -> bool:
    thread = threading.Thread(target=print_log, args=('a line', 'current'), daemon=True)
    thread.start()
    thread.join(20)
    return not thread.is_alive()


def test_threads_log_after_an_error_elsewhere():
    with pytest.raises(RuntimeError, match='at least once'):
        Broken.get_current_instance()
    assert _logs_in_a_thread()
    with pytest.raises(OSError, match='no such place'):
        Broken.get_instance('first')
    assert _logs_in_a_thread()
    assert not Broken.check_instance_created('first')
