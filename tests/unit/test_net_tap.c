// SPDX-License-Identifier: GPL-2.0-or-later
// The TAP backend on real interfaces, in a network of the test's own; where the host does
// not let it have one, the tests are skipped.

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../../net/tap-priv.h"
#include "log.h"
#include "net-fixture.h"
#include "tap-fixture.h"

#define HEADER_BYTES NET_VNET_HEADER_BYTES
#define MAX_FRAME (HEADER_BYTES + 1514)

// -- interfaces --

static struct ifreq ask(const char *name, unsigned long request)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq ifr = { 0 };

	strcpy(ifr.ifr_name, name);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, request, &ifr), 0);
	close(fd);
	return ifr;
}

static void set_flag(const char *name, short flag, bool on)
{
	struct ifreq ifr = ask(name, SIOCGIFFLAGS);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ifr.ifr_flags = on ? ifr.ifr_flags | flag : ifr.ifr_flags & ~flag;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

static uint32_t address_of(const char *name)
{
	struct ifreq ifr = ask(name, SIOCGIFADDR);

	return ntohl(((struct sockaddr_in *)&ifr.ifr_addr)->sin_addr.s_addr);
}

// A tap that outlives its descriptor.
static void make_tap(const char *name, short flags, bool persistent)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | flags };
	int fd = open("/dev/net/tun", O_RDWR);

	strcpy(ifr.ifr_name, name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, persistent), 0);
	close(fd);
}

// -- tests --

static struct net_config tap_config(void)
{
	return (struct net_config){ .mode = NET_TAP, .fd = -1 };
}

static void test_new_tap(void **state)
{
	struct net_config config = tap_config();
	const struct net_info *info;
	struct net *net;

	assert_int_equal(net_open(&net, &config), 0);
	info = net_info(net);
	assert_string_equal(info->name, "tap kvik0");
	assert_true(info->vnet_header);
	assert_int_equal(info->queue_pairs_max, 1);
	assert_int_equal(info->mtu, 0);
	assert_true(info->send_offloads & NET_OFFLOAD_CSUM);
	assert_true(info->receive_offloads & NET_OFFLOAD_TSO4);
	assert_false(info->has_mac);
	assert_true(address_of("kvik0") == 0xc0a82101);
	assert_true(ask("kvik0", SIOCGIFFLAGS).ifr_flags & IFF_UP);
	net_close(net);
	assert_int_equal(if_nametoindex("kvik0"), 0);
}

static void test_named_tap(void **state)
{
	struct net_config config = tap_config();
	struct net *net;

	config.tap_name = "wire";
	config.host_ip = "10.1.2.3";
	config.mtu = 9000;
	assert_int_equal(net_open(&net, &config), 0);
	assert_true(address_of("wire") == 0x0a010203);
	assert_int_equal(ask("wire", SIOCGIFMTU).ifr_mtu, 9000);
	net_close(net);
}

// An interface that exists is not ours to configure.
static void test_existing_tap(void **state)
{
	struct net_config config = tap_config();
	struct net *net, *other;

	make_tap("old", 0, true);
	config.tap_name = "old";
	config.host_ip = "10.1.2.3";
	assert_int_equal(net_open(&net, &config), 0);
	assert_false(ask("old", SIOCGIFFLAGS).ifr_flags & IFF_UP);
	assert_int_equal(net_open(&other, &config), -EBUSY);
	net_close(net);
	assert_int_not_equal(if_nametoindex("old"), 0);
	make_tap("old", 0, false);
}

static void test_frames(void **state)
{
	struct net_config config = tap_config();
	uint8_t frame[MAX_FRAME] = { 0 }, got[MAX_FRAME];
	struct iovec iov = { frame, MAX_FRAME };
	struct rig rig;
	int packets;

	rig_open(&rig, &config);
	rig.take = 1;
	packets = open_packets("kvik0");
	make_frame(frame + HEADER_BYTES, 1514);
	assert_int_equal(net_send(rig.net, 0, &iov, 1), 0);
	assert_int_equal(recv(packets, got, sizeof(got), 0), 1514);
	assert_memory_equal(got, frame + HEADER_BYTES, 1514);
	assert_int_equal(send(packets, frame + HEADER_BYTES, 1000, 0), 1000);
	run_until(&rig, rig.frame[HEADER_BYTES + 12] == TYPE >> 8);
	assert_int_equal(rig.frame_len, HEADER_BYTES + 1000);
	assert_memory_equal(rig.frame + HEADER_BYTES, frame + HEADER_BYTES, 1000);
	assert_int_equal(rig.error, 0);
	// While it is not watched, nothing is told.
	net_watch(rig.net, 0, false);
	rig.readable = 0;
	assert_int_equal(send(packets, frame + HEADER_BYTES, 1000, 0), 1000);
	run_for(&rig, 20);
	assert_int_equal(rig.readable, 0);
	close(packets);
	rig_exit(&rig);
}

// Headers that make no sense are the host's business to refuse.
static void test_bad_frames(void **state)
{
	struct net_config config = tap_config();
	uint8_t frame[MAX_FRAME] = { 0 };
	struct iovec iov = { frame, HEADER_BYTES + 100 };
	struct rig rig;

	rig_open(&rig, &config);
	frame[0] = 1; // NEEDS_CSUM
	memset(frame + 6, 0xff, 4);
	assert_true(net_send(rig.net, 0, &iov, 1) < 0);
	iov.iov_len = 5;
	assert_true(net_send(rig.net, 0, &iov, 1) < 0);
	rig_exit(&rig);
}

static void test_offloads(void **state)
{
	struct net_config config = tap_config();
	struct net *net;

	assert_int_equal(net_open(&net, &config), 0);
	assert_int_equal(net_set_offloads(net, net_info(net)->receive_offloads), 0);
	assert_int_equal(net_set_offloads(net, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4), 0);
	assert_int_equal(net_set_offloads(net, 0), 0);
	net_close(net);
}

static void test_pairs(void **state)
{
	struct net_config config = tap_config();
	struct net *net;

	config.queue_pairs = 4;
	assert_int_equal(net_open(&net, &config), 0);
	assert_int_equal(net_info(net)->queue_pairs_max, 4);
	assert_int_equal(net_use_pairs(net, 4), 0);
	assert_int_equal(net_use_pairs(net, 2), 0);
	assert_int_equal(net_use_pairs(net, 3), 0);
	net_close(net);
}

// One queue of an interface that was made for several, and several of one.
static void test_pairs_of_existing_taps(void **state)
{
	struct net_config config = tap_config();
	struct net *net;

	make_tap("many", IFF_MULTI_QUEUE, true);
	make_tap("one", 0, true);
	config.tap_name = "many";
	assert_int_equal(net_open(&net, &config), 0);
	net_close(net);
	config.queue_pairs = 2;
	assert_int_equal(net_open(&net, &config), 0);
	net_close(net);
	config.tap_name = "one";
	assert_int_equal(net_open(&net, &config), -EINVAL);
	make_tap("many", IFF_MULTI_QUEUE, false);
	make_tap("one", 0, false);
}

static void test_link(void **state)
{
	struct net_config config = tap_config();
	uint8_t frame[MAX_FRAME] = { 0 };
	struct iovec iov = { frame, HEADER_BYTES + 100 };
	struct rig rig;

	make_tap("link", 0, true);
	set_flag("link", IFF_UP, true);
	config.tap_name = "link";
	rig_open(&rig, &config);
	run_until(&rig, rig.link_changes && rig.link_up);
	set_flag("link", IFF_UP, false);
	run_until(&rig, !rig.link_up);
	assert_true(net_send(rig.net, 0, &iov, 1) < 0);
	set_flag("link", IFF_UP, true);
	run_until(&rig, rig.link_up);
	make_frame(frame + HEADER_BYTES, 100);
	assert_int_equal(net_send(rig.net, 0, &iov, 1), 0);
	rig_exit(&rig);
	make_tap("link", 0, false);
}

// Its descriptor would wake the loop for ever.
static void test_deleted(void **state)
{
	struct net_config config = tap_config();
	uint8_t frame[MAX_FRAME] = { 0 };
	struct iovec iov = { frame, HEADER_BYTES + 100 };
	struct rig rig;

	make_tap("brief", 0, true);
	set_flag("brief", IFF_UP, true);
	config.tap_name = "brief";
	rig_open(&rig, &config);
	run_until(&rig, rig.link_changes && rig.link_up);
	if (system("ip link del brief")) {
		rig_exit(&rig);
		make_tap("brief", 0, false);
		print_message("ip(8) is not there, or cannot\n");
		skip();
	}
	run_until(&rig, !rig.link_up);
	run_for(&rig, 20);
	rig.readable = rig.link_changes = 0;
	run_for(&rig, 20);
	assert_true(rig.readable == 0 && rig.link_changes == 0);
	assert_true(net_send(rig.net, 0, &iov, 1) < 0);
	rig_exit(&rig);
}

static void test_mtu_of_existing_tap(void **state)
{
	struct net_config config = tap_config();
	struct net *net;
	struct ifreq ifr;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	make_tap("jumbo", 0, true);
	ifr = ask("jumbo", SIOCGIFMTU);
	ifr.ifr_mtu = 9000;
	assert_int_equal(ioctl(fd, SIOCSIFMTU, &ifr), 0);
	close(fd);
	config.tap_name = "jumbo";
	assert_int_equal(net_open(&net, &config), 0);
	assert_int_equal(net_info(net)->mtu, 9000);
	net_close(net);
	make_tap("jumbo", 0, false);
}

// -- descriptors --

static int open_file(short flags)
{
	struct ifreq ifr = { .ifr_flags = flags };
	int fd = open("/dev/net/tun", O_RDWR);

	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static void test_fd(void **state)
{
	struct net_config config = tap_config();
	struct net *net;

	config.fd = open_file(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	assert_int_equal(net_open(&net, &config), 0);
	assert_true(net_info(net)->vnet_header);
	net_close(net);
	config.fd = open_file(IFF_TAP | IFF_NO_PI);
	assert_int_equal(net_open(&net, &config), 0);
	assert_false(net_info(net)->vnet_header);
	assert_int_equal(net_info(net)->send_offloads | net_info(net)->receive_offloads, 0);
	net_close(net);
}

static void test_wrong_fd(void **state)
{
	struct net_config config = tap_config();
	struct net *net;

	config.fd = open_file(IFF_TUN | IFF_NO_PI);
	assert_int_equal(net_open(&net, &config), -EINVAL);
	config.fd = open("/dev/null", O_RDWR);
	assert_true(net_open(&net, &config) < 0);
	config.fd = 999;
	assert_int_equal(net_open(&net, &config), -EBADF);
}

// -- what is refused --

static void test_refused(void **state)
{
	struct net_config config = tap_config();
	struct net *net;

	config.tap_name = "lo";
	assert_int_equal(net_open(&net, &config), -EINVAL);
	config.tap_name = "a-name-that-is-too-long";
	assert_int_equal(net_open(&net, &config), -EINVAL);
	config.tap_name = "/dev/tap4711";
	assert_int_equal(net_open(&net, &config), -ENOENT);
	config.tap_name = "/dev/null";
	assert_true(net_open(&net, &config) < 0);
	config = tap_config();
	config.host_ip = "none";
	assert_int_equal(net_open(&net, &config), -EINVAL);
	config = tap_config();
	config.bridge = "nobridge";
	assert_int_equal(net_open(&net, &config), -ENODEV);
	config = tap_config();
	config.vhost = true;
	config.rate.ops.per_s = 1000;
	assert_int_equal(net_open(&net, &config), -EINVAL);
	config.rate.ops.per_s = 0;
	if (access("/dev/vhost-net", F_OK) < 0)
		assert_int_equal(net_open(&net, &config), -ENOENT);
	assert_int_equal(if_nametoindex("kvik0"), 0);
}

// -- programs --

static char work[] = "/tmp/kvik-tap.XXXXXX";

// Writes an executable script; its path.
static const char *make_script(const char *name, const char *text)
{
	static char path[2][64];
	static unsigned next;
	char *mine = path[next++ % 2];
	FILE *file;

	snprintf(mine, sizeof(path[0]), "%s/%s", work, name);
	file = fopen(mine, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", text);
	fclose(file);
	assert_int_equal(chmod(mine, 0755), 0);
	return mine;
}

static bool log_is(const char *wanted)
{
	char path[64], text[128] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/log", work);
	file = fopen(path, "r");
	if (file) {
		size_t len = fread(text, 1, sizeof(text) - 1, file);

		text[len] = '\0';
		fclose(file);
		unlink(path);
	}
	return strcmp(text, wanted) == 0;
}

static void test_scripts(void **state)
{
	struct net_config config = tap_config();
	struct net *net;

	config.script = make_script("up", "echo up $1 >>${0%/*}/log");
	config.down_script = make_script("down", "echo down $1 >>${0%/*}/log");
	assert_int_equal(net_open(&net, &config), 0);
	assert_true(log_is("up kvik0\n"));
	assert_true(ask("kvik0", SIOCGIFFLAGS).ifr_flags & IFF_UP);
	net_close(net);
	assert_true(log_is("down kvik0\n"));
	config.script = make_script("up", "exit 3");
	assert_int_equal(net_open(&net, &config), -EIO);
	config.script = "/nonexistent";
	assert_int_equal(net_open(&net, &config), -ENOENT);
	assert_true(log_is(""));
}

// What kvik run ignores its scripts do not.
static void test_scripts_have_sigpipe(void **state)
{
	const char *const argv[] = { "/bin/sh", "-c", "kill -PIPE $$", NULL };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	int status;

	sigaction(SIGPIPE, &ignore, &before);
	status = tap_run_program(argv);
	sigaction(SIGPIPE, &before, NULL);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

// This program as a bridge helper: "--use-vnet --br=NAME --fd=N".
static int be_helper(int argc, char **argv)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int socket, tap;

	if (argc != 4 || strcmp(argv[2], "--br=some") != 0 ||
	    sscanf(argv[3], "--fd=%d", &socket) != 1)
		return 1;
	tap = open_file(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &tap, sizeof(tap));
	return sendmsg(socket, &message, 0) == 1 ? 0 : 1;
}

static void test_bridge_helper(void **state)
{
	struct net_config config = tap_config();
	struct net *net;

	config.bridge = "some";
	config.bridge_helper = "/proc/self/exe";
	assert_int_equal(net_open(&net, &config), 0);
	assert_true(net_info(net)->vnet_header);
	net_close(net);
	config.bridge = "other";
	assert_int_equal(net_open(&net, &config), -EPERM);
	config.bridge_helper = "/bin/true";
	assert_true(net_open(&net, &config) < 0);
	config.bridge_helper = "/nonexistent";
	assert_int_equal(net_open(&net, &config), -ENOENT);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_tap),
		cmocka_unit_test(test_named_tap),
		cmocka_unit_test(test_existing_tap),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_bad_frames),
		cmocka_unit_test(test_offloads),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_pairs_of_existing_taps),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_deleted),
		cmocka_unit_test(test_mtu_of_existing_tap),
		cmocka_unit_test(test_fd),
		cmocka_unit_test(test_wrong_fd),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_scripts_have_sigpipe),
		cmocka_unit_test(test_bridge_helper),
	};
	int ret;

	if (argc > 1 && strcmp(argv[1], "--use-vnet") == 0)
		return be_helper(argc, argv);
	enter_network();
	if (!why_not && !mkdtemp(work))
		why_not = "there is no directory for scripts";
	if (why_not)
		return skip_all();
	alarm(60); // a hang is a failure
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(make_script("up", ""));
	unlink(make_script("down", ""));
	rmdir(work);
	return ret;
}
