# SPDX-License-Identifier: GPL-2.0-only
"""avmm-server: from one INI file and a store of images, all that a room of diskless clients boots from."""


class Problem(Exception):
    """Something that the administrator has to be told, in one line."""
