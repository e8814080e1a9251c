// SPDX-License-Identifier: GPL-2.0-or-later
// Which helper program serves a user-mode network, and its arguments.

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "user-priv.h"
#include "vm-config.h"

#define SLIRP "kvik-slirp"
#define SLIRP_VARIABLE "KVIK_SLIRP"
#define FIXED_ARGUMENTS 16
#define FORWARD_TEXT_BYTES 160
#define MTU_MIN 576U // RFC 791: what every host must take

// -- finding the program --

static bool is_program(const char *path)
{
	return access(path, X_OK) == 0;
}

// Writes the path of @name in the directory @place, as seen from kvik's own directory.
static bool beside_kvik(char *path, const char *place, const char *name)
{
	char own[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	if (len < 0)
		return false;
	own[len] = '\0';
	slash = strrchr(own, '/');
	if (!slash)
		return false;
	*slash = '\0';
	return snprintf(path, PATH_MAX, "%s/%s%s", own, place, name) < PATH_MAX && is_program(path);
}

static int find_slirp(char *path, const struct net_config *config)
{
	const char *named = getenv(SLIRP_VARIABLE);

	if (named && named[0]) {
		snprintf(path, PATH_MAX, "%s", named);
		if (!is_program(path))
			return net_fail(config, errno, "%s=%s: %m", SLIRP_VARIABLE, named);
		return 0;
	}
	if (beside_kvik(path, "", SLIRP) || beside_kvik(path, "../libexec/kvik/", SLIRP))
		return 0;
	return net_fail(
		config, ENOENT,
		"user mode needs the program %s, which is neither beside kvik nor in "
		"../libexec/kvik from there; build it (libslirp-dev and libseccomp-dev), name "
		"it in %s, or use another mode",
		SLIRP, SLIRP_VARIABLE);
}

static int find_passt(char *path, const struct net_config *config)
{
	const char *places = getenv("PATH"), *end;

	for (; places && *places; places = *end ? end + 1 : end) {
		end = strchrnul(places, ':');
		snprintf(path, PATH_MAX, "%.*s/passt", (int)(end - places), places);
		if (is_program(path))
			return 0;
	}
	return net_fail(
		config, ENOENT,
		"backend=passt: there is no passt in PATH; install it, or leave the backend "
		"out for %s",
		SLIRP);
}

// -- forwards --

// An IP address and a port; returns its family, or 0 where @text is no address.
static int make_address(const char *text, uint16_t port, struct sockaddr_storage *address)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;

	*address = (struct sockaddr_storage){ .ss_family = AF_INET };
	in4->sin_port = htons(port);
	if (!text || inet_pton(AF_INET, text, &in4->sin_addr) == 1)
		return AF_INET;
	*address = (struct sockaddr_storage){ .ss_family = AF_INET6 };
	in6->sin6_port = htons(port);
	return inet_pton(AF_INET6, text, &in6->sin6_addr) == 1 ? AF_INET6 : 0;
}

static int bad_address(const struct net_config *config, const char *text)
{
	return net_fail(config, EINVAL,
			"hostfwd: %s: is no IP address; give one such as 127.0.0.1 or [::1]", text);
}

// The helper binds it for good: this is to tell the user now, and not when it cannot.
static int try_bind(const struct net_config *config, const struct net_forward *forward,
		    const struct sockaddr_storage *address)
{
	int type = (forward->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC;
	int fd = socket(address->ss_family, type, 0), on = 1, err = 0;

	if (fd < 0)
		return 0;
	if (!forward->udp)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		err = errno;
	close(fd);
	return err ? net_fail(config, err, "hostfwd: %s port %u of %s: %m",
			      forward->udp ? "udp" : "tcp", forward->host_port,
			      forward->host_address ? forward->host_address : "this host") :
		     0;
}

static int check_forward(const struct net_config *config, const struct net_forward *forward)
{
	struct sockaddr_storage host, guest;

	if (!make_address(forward->host_address, forward->host_port, &host))
		return bad_address(config, forward->host_address);
	if (!make_address(forward->guest_address, forward->guest_port, &guest))
		return bad_address(config, forward->guest_address);
	if (config->backend == NET_USER_PASST && forward->guest_address)
		return net_fail(config, EINVAL,
				"hostfwd: passt forwards to its guest only; leave out %s",
				forward->guest_address);
	if (config->backend == NET_USER_SLIRP && host.ss_family != guest.ss_family)
		return net_fail(
			config, EINVAL,
			"hostfwd: both addresses must be IPv4 or both IPv6; for an IPv6 port "
			"give the guest's address too");
	return try_bind(config, forward, &host);
}

// "ADDR" or "[ADDR]" for IPv6, with the colon behind it; or nothing.
static void format_address(char *text, size_t size, const char *address)
{
	bool v6 = address && strchr(address, ':');

	snprintf(text, size, "%s%s%s%s", v6 ? "[" : "", address ? address : "", v6 ? "]" : "",
		 address ? ":" : "");
}

static void format_slirp_forward(char *text, const struct net_forward *forward)
{
	char host[INET6_ADDRSTRLEN + 3], guest[INET6_ADDRSTRLEN + 3];

	format_address(host, sizeof(host), forward->host_address);
	format_address(guest, sizeof(guest), forward->guest_address);
	snprintf(text, FORWARD_TEXT_BYTES, "%s:%s%u-%s%u", forward->udp ? "udp" : "tcp", host,
		 forward->host_port, guest, forward->guest_port);
}

static void format_passt_forward(char *text, const struct net_forward *forward)
{
	const char *address = forward->host_address ? forward->host_address : "";

	snprintf(text, FORWARD_TEXT_BYTES, "%s%s%u:%u", address, address[0] ? "/" : "",
		 forward->host_port, forward->guest_port);
}

// -- arguments --

// Built with room for all; a missing one at the end shows in add_done().
struct arguments {
	char **argv;
	unsigned count;
	bool failed;
};

static void add(struct arguments *args, const char *text)
{
	char *copy = strdup(text);

	if (copy)
		args->argv[args->count++] = copy;
	else
		args->failed = true;
}

PRINTF_LIKE(3, 4)
static void add_option(struct arguments *args, const char *option, const char *fmt, ...)
{
	char text[FORWARD_TEXT_BYTES];
	va_list values;

	va_start(values, fmt);
	vsnprintf(text, sizeof(text), fmt, values);
	va_end(values);
	add(args, option);
	add(args, text);
}

static void add_slirp(struct arguments *args, const struct net_config *config, bool has_area)
{
	char forward[FORWARD_TEXT_BYTES];

	add(args, SLIRP);
	add_option(args, "--fd", "%d", USER_FD);
	if (has_area)
		add_option(args, "--area", "%d", USER_AREA_FD);
	add_option(args, "--host-ip", "%s", config->host_ip ? config->host_ip : USER_HOST_IP);
	add_option(args, "--guest-ip", "%s", config->guest_ip ? config->guest_ip : USER_GUEST_IP);
	add_option(args, "--mtu", "%u", config->mtu ? config->mtu : USER_MTU_SLIRP);
	for (unsigned i = 0; i < config->forward_count; i++) {
		format_slirp_forward(forward, &config->forwards[i]);
		add_option(args, "--forward", "%s", forward);
	}
}

static void add_passt(struct arguments *args, const struct net_config *config)
{
	char forward[FORWARD_TEXT_BYTES];

	add(args, "passt");
	add(args, "--foreground");
	add(args, "--quiet");
	add_option(args, "--fd", "%d", USER_FD);
	add_option(args, "--mtu", "%u", config->mtu ? config->mtu : USER_MTU_PASST);
	if (config->guest_ip)
		add_option(args, "--address", "%s", config->guest_ip);
	if (config->host_ip)
		add_option(args, "--gateway", "%s", config->host_ip);
	for (unsigned i = 0; i < config->forward_count; i++) {
		format_passt_forward(forward, &config->forwards[i]);
		add_option(args, config->forwards[i].udp ? "--udp-ports" : "--tcp-ports", "%s",
			   forward);
	}
}

static int check_mtu(const struct net_config *config)
{
	if (!config->mtu || (config->mtu >= MTU_MIN && config->mtu <= USER_MTU_MAX))
		return 0;
	return net_fail(config, EINVAL, "mtu=%u: in user mode give %u to %u", config->mtu, MTU_MIN,
			USER_MTU_MAX);
}

int helper_prepare(struct helper *helper, const struct net_config *config)
{
	bool passt = config->backend == NET_USER_PASST;
	struct arguments args = { .argv = calloc(FIXED_ARGUMENTS + 2 * config->forward_count,
						 sizeof(char *)) };
	int err = passt ? find_passt(helper->path, config) : find_slirp(helper->path, config);

	helper->argv = args.argv;
	err = err ? err : check_mtu(config);
	for (unsigned i = 0; i < config->forward_count && !err; i++)
		err = check_forward(config, &config->forwards[i]);
	if (err)
		return err;
	if (!args.argv)
		return net_fail(config, ENOMEM, "%m");
	if (passt)
		add_passt(&args, config);
	else
		add_slirp(&args, config, helper->area_fd >= 0);
	return args.failed ? net_fail(config, ENOMEM, "%m") : 0;
}
