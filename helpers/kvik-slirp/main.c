// SPDX-License-Identifier: GPL-2.0-or-later
// kvik-slirp: a guest's way to the network, without privileges.
//
// Speaks Ethernet frames with kvik on a socket (include/frames.h) and plays, by libslirp,
// the network behind it: router, DHCP and DNS servers, and the ends of the guest's
// connections, which become ordinary sockets of the host's.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "log.h"
#include "slirp-helper.h"

#define MTU_MIN 576 // RFC 791: what every host must take
#define MTU_MAX 65521
#define EXIT_USAGE 2

static const char usage[] =
	"usage: kvik-slirp --fd N [OPTION...]\n"
	"\n"
	"Run by kvik. The network of a guest whose Ethernet frames come and go on\n"
	"the stream socket N.\n"
	"\n"
	"  --fd N             the socket\n"
	"  --area N           memory that is shared with kvik\n"
	"  --host-ip ADDR     the router's address (192.168.33.1)\n"
	"  --guest-ip ADDR    the address that the guest gets (192.168.33.15)\n"
	"  --mtu N            the largest packet, 576 to 65521 (65520)\n"
	"  --forward PROTO:[ADDR:]PORT-[ADDR:]PORT\n"
	"                     a port of the host's, tcp or udp, that leads to one of\n"
	"                     the guest's; may be repeated\n"
	"  -h, --help         this text\n";

static int bad_value(const char *option, const char *value, const char *remedy)
{
	return fail_msg(EINVAL, "%s %s: %s", option, value, remedy);
}

static int parse_number(const char *option, const char *text, unsigned long max, unsigned *number)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || text[0] < '0' || text[0] > '9' || *end || value > max)
		return bad_value(option, text, "is no number that it takes; see --help");
	*number = (unsigned)value;
	return 0;
}

static int parse_fd(const char *option, const char *text, int *fd)
{
	unsigned number;
	int err = parse_number(option, text, 1 << 20, &number);

	*fd = err ? -1 : (int)number;
	return err;
}

static int parse_mtu(const char *text, unsigned *mtu)
{
	int err = parse_number("--mtu", text, MTU_MAX, mtu);

	if (!err && *mtu < MTU_MIN)
		return bad_value("--mtu", text, "is too small; give 576 to 65521");
	return err;
}

static int parse_address(const char *option, const char *text, struct in_addr *address)
{
	if (inet_pton(AF_INET, text, address) == 1)
		return 0;
	return bad_value(option, text, "is no IPv4 address");
}

enum option_kind { OPT_FD, OPT_AREA, OPT_HOST_IP, OPT_GUEST_IP, OPT_MTU, OPT_FORWARD, OPT_HELP };

static int take_option(struct settings *settings, enum option_kind kind, const char *value)
{
	switch (kind) {
	case OPT_FD:
		return parse_fd("--fd", value, &settings->fd);
	case OPT_AREA:
		return parse_fd("--area", value, &settings->area_fd);
	case OPT_HOST_IP:
		return parse_address("--host-ip", value, &settings->host_ip);
	case OPT_GUEST_IP:
		return parse_address("--guest-ip", value, &settings->guest_ip);
	case OPT_MTU:
		return parse_mtu(value, &settings->mtu);
	case OPT_FORWARD:
		settings->forwards[settings->forward_count++] = value;
		return 0;
	case OPT_HELP:
		break;
	}
	return -EINVAL;
}

static const struct option options[] = {
	{ "fd", required_argument, NULL, OPT_FD },
	{ "area", required_argument, NULL, OPT_AREA },
	{ "host-ip", required_argument, NULL, OPT_HOST_IP },
	{ "guest-ip", required_argument, NULL, OPT_GUEST_IP },
	{ "mtu", required_argument, NULL, OPT_MTU },
	{ "forward", required_argument, NULL, OPT_FORWARD },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static int check_socket(int fd)
{
	socklen_t len = sizeof(int);
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return fail(errno, "--fd %d", fd);
	return type == SOCK_STREAM ? 0 : fail_msg(EINVAL, "--fd %d: is no stream socket", fd);
}

// 0; -ECANCELED: only help was asked for; other -errno after a message.
static int parse_arguments(struct settings *settings, int argc, char **argv)
{
	int kind;

	while ((kind = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (kind == 'h' || kind == OPT_HELP)
			return -ECANCELED;
		if (kind == '?' || take_option(settings, (enum option_kind)kind, optarg))
			return -EINVAL;
	}
	if (optind < argc)
		return fail_msg(EINVAL, "%s: is no option; see --help", argv[optind]);
	if (settings->fd < 0)
		return fail_msg(EINVAL, "--fd is missing: this program is run by kvik");
	return check_socket(settings->fd);
}

// Neither a message that nobody reads nor a connection that was closed shall end or block it.
static void prepare_process(void)
{
	int flags = fcntl(STDERR_FILENO, F_GETFL);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	if (flags >= 0)
		(void)fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
}

static int run(const struct settings *settings)
{
	struct stack *stack;
	int err = stack_create(&stack, settings);

	err = err ? err : confine();
	return err ? err : stack_run(stack);
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.fd = -1,
		.area_fd = -1,
		.host_ip.s_addr = htonl(0xc0a82101), // 192.168.33.1, .15: as lkvm has them
		.guest_ip.s_addr = htonl(0xc0a8210f),
		.mtu = 65520,
		.forwards = calloc((size_t)argc, sizeof(char *)),
	};
	int err;

	log_set_prefix("kvik-slirp");
	err = settings.forwards ? parse_arguments(&settings, argc, argv) : -ENOMEM;
	if (!err) {
		prepare_process();
		err = run(&settings);
		// Sockets and memory go with the process, which may no longer do much.
		_exit(err ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	free(settings.forwards);
	if (err != -ECANCELED)
		return EXIT_USAGE;
	fputs(usage, stdout);
	return EXIT_SUCCESS;
}
