// SPDX-License-Identifier: GPL-2.0-or-later
// kvik resume: lets paused VMs go on.
#include "builtin.h"
#include "remote.h"

int cmd_resume(int argc, char **argv)
{
	return remote_run_verb("resume", find_command("resume")->summary, argc, argv);
}
