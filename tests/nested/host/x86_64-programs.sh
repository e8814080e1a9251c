#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# The bare programs of /programs bring their own script.
KVIK=/bin/kvik sh /programs/run.sh /programs
