// SPDX-License-Identifier: GPL-2.0-or-later
// Brings a new interface up, and runs the user's scripts.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "tap-priv.h"
#include "vm-config.h"

#define DEFAULT_HOST_IP "192.168.33.1" // as lkvm's

extern char **environ;

// -- programs --

// Standard output is the guest's console; signals are blocked for signalfd(), or ignored.
static int spawn(const char *const argv[], pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, ignored;
	int err;

	sigemptyset(&none);
	sigemptyset(&ignored);
	sigaddset(&ignored, SIGPIPE);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &ignored);
	err = posix_spawn(pid, argv[0], &files, &attributes, (char *const *)argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return -err;
}

int tap_run_program(const char *const argv[])
{
	int status, err;
	pid_t pid;

	err = spawn(argv, &pid);
	if (err)
		return err;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

static int run_script(const struct tap *tap, const char *script)
{
	const char *const argv[] = { script, tap->name, NULL };
	int status = tap_run_program(argv);

	if (status < 0)
		return net_fail(tap->config, -status, "script %s: %m", script);
	if (status)
		return net_fail(tap->config, EIO, "script %s %s: failed with %s %d", script,
				tap->name, WIFSIGNALED(status) ? "signal" : "status",
				WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return 0;
}

// -- the interface --

static struct ifreq request_for(const struct tap *tap)
{
	struct ifreq ifr = { 0 };

	memcpy(ifr.ifr_name, tap->name, sizeof(ifr.ifr_name));
	return ifr;
}

static int set_mtu(const struct tap *tap, int fd)
{
	struct ifreq ifr = request_for(tap);

	ifr.ifr_mtu = tap->config->mtu;
	if (ifr.ifr_mtu && ioctl(fd, SIOCSIFMTU, &ifr) < 0)
		return net_fail(tap->config, errno, "mtu=%d: %s: %m", tap->config->mtu, tap->text);
	return 0;
}

static int set_address(const struct tap *tap, int fd)
{
	const char *ip = tap->config->host_ip ? tap->config->host_ip : DEFAULT_HOST_IP;
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct ifreq ifr = request_for(tap);

	if (inet_pton(AF_INET, ip, &address.sin_addr) != 1)
		return net_fail(tap->config, EINVAL, "host_ip=%s: is no IPv4 address", ip);
	memcpy(&ifr.ifr_addr, &address, sizeof(address));
	if (ioctl(fd, SIOCSIFADDR, &ifr) < 0)
		return net_fail(tap->config, errno, "host_ip=%s: %s: %m", ip, tap->text);
	return 0;
}

static int join_bridge(const struct tap *tap, int fd)
{
	struct ifreq ifr = { .ifr_ifindex = (int)if_nametoindex(tap->name) };

	if (strlen(tap->config->bridge) >= IFNAMSIZ)
		return net_fail(tap->config, ENODEV, "bridge=%s: %m", tap->config->bridge);
	memcpy(ifr.ifr_name, tap->config->bridge, strlen(tap->config->bridge) + 1);
	if (ioctl(fd, SIOCBRADDIF, &ifr) < 0)
		return net_fail(tap->config, errno, "bridge=%s: add %s: %m", tap->config->bridge,
				tap->text);
	return 0;
}

static int bring_up(const struct tap *tap, int fd)
{
	struct ifreq ifr = request_for(tap);

	if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return net_fail(tap->config, errno, "%s: read its flags: %m", tap->text);
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		return net_fail(tap->config, errno, "%s: bring it up: %m", tap->text);
	return 0;
}

static int configure(const struct tap *tap, int fd)
{
	const struct net_config *config = tap->config;
	int err = set_mtu(tap, fd);

	if (!err && config->bridge)
		err = join_bridge(tap, fd);
	else if (!err && !config->script)
		err = set_address(tap, fd);
	if (!err && config->script)
		err = run_script(tap, config->script);
	return err ? err : bring_up(tap, fd);
}

int tap_set_up(const struct tap *tap)
{
	int fd, err;

	if (!tap->is_new)
		return tap->config->script ? run_script(tap, tap->config->script) : 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return net_fail(tap->config, errno, "%s: open a socket: %m", tap->text);
	err = configure(tap, fd);
	close(fd);
	return err;
}

void tap_take_down(const struct tap *tap)
{
	if (tap->config->down_script)
		(void)!run_script(tap, tap->config->down_script);
}
