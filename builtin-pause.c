// SPDX-License-Identifier: GPL-2.0-or-later
// kvik pause: makes running VMs stand still.
#include "builtin.h"
#include "remote.h"

int cmd_pause(int argc, char **argv)
{
	return remote_run_verb("pause", find_command("pause")->summary, argc, argv);
}
