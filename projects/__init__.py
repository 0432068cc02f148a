# SPDX-License-Identifier: Apache-2.0
"""Projects: experiments and recipes beside the package."""
