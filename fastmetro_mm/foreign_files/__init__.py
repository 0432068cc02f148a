# SPDX-License-Identifier: Apache-2.0
"""The one room in which files of unknown origin are read.

Pickles, torch checkpoints, NumPy archives, JSON and YAML come from strangers, from interrupted
downloads and from other versions. Nothing else in the package calls ``pickle``, ``torch.load``,
``numpy.load`` with pickles, or a YAML loader that builds objects; a test of the repository looks
for such calls. In here

- nothing of a file is executed: names in a pickle are looked up in fixed tables of inert stand-ins;
- a file is recognised by its first bytes, so that what is wrong with it can be said (``kinds``);
- sizes that a file declares are compared with what it can hold, and with what the caller expects,
  before memory is asked for;
- every failure is a :class:`~fastmetro_mm.errors.UserError` of one line with the file's name.
"""
