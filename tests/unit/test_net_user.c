// SPDX-License-Identifier: GPL-2.0-or-later
// Helper programs of user-mode networks: which one, its arguments, its life and its end.
//
// The helpers here are scripts: one that returns each frame, and worse ones.

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "../../net/user-priv.h"

#include "net-fixture.h"

#define ECHO "exec cat <&3 >&3\n"

struct user_test {
	char directory[32];
	char program[64];
	char record[64]; // where a helper may write
	struct rig rig;
};

static struct net_config user_config(void)
{
	return (struct net_config){ .mode = NET_USER, .fd = -1 };
}

static void write_program(const char *path, const char *script)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s", script);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

static int setup(void **state)
{
	static struct user_test test;

	alarm(60);
	test = (struct user_test){ .directory = "/tmp/kvik-user.XXXXXX" };
	assert_non_null(mkdtemp(test.directory));
	snprintf(test.program, sizeof(test.program), "%s/passt", test.directory);
	snprintf(test.record, sizeof(test.record), "%s/record", test.directory);
	setenv("KVIK_SLIRP", test.program, 1);
	setenv("RECORD", test.record, 1);
	*state = &test;
	return 0;
}

static int teardown(void **state)
{
	struct user_test *test = *state;

	unlink(test->program);
	unlink(test->record);
	assert_int_equal(rmdir(test->directory), 0);
	unsetenv("KVIK_SLIRP");
	return 0;
}

static void begin(struct user_test *test, const char *script, const struct net_config *config)
{
	write_program(test->program, script);
	rig_open(&test->rig, config);
}

static struct helper *helper_of(struct user_test *test)
{
	// struct user_net's beginning
	struct beginning {
		struct stream stream;
		struct helper helper;
	};

	return &container_of(test->rig.net, struct beginning, stream.net)->helper;
}

// With the header before it, in both directions.
static int send_with_header(struct rig *rig, uint8_t *header, size_t len, unsigned seed)
{
	static uint8_t frame[FRAME_ROOM];
	struct iovec iov[2] = { { header, NET_VNET_HEADER_BYTES }, { frame, len } };

	fill_frame(frame, len, seed);
	return net_send(rig->net, 0, iov, 2);
}

static void expect_echo_of(struct rig *rig, size_t len)
{
	uint8_t header[NET_VNET_HEADER_BYTES] = { 0 };

	rig->frames = 0;
	assert_int_equal(send_with_header(rig, header, len, 4), 0);
	run_until(rig, rig->frames == 1);
	assert_int_equal(rig->frame_len, NET_VNET_HEADER_BYTES + len);
	assert_frame(rig->frame + NET_VNET_HEADER_BYTES, len, 4);
}

static void expect_echo(struct rig *rig)
{
	expect_echo_of(rig, 1514);
	expect_echo_of(rig, 65000);
}

// -- life --

static void test_frames_go_through_the_helper(void **state)
{
	struct user_test *test = *state;
	struct net_config config = user_config();

	begin(test, ECHO, &config);
	expect_echo(&test->rig);
	assert_int_equal(test->rig.link_changes, 0);
	rig_exit(&test->rig);
}

static void test_checksums(void **state)
{
	struct user_test *test = *state;
	struct net_config config = user_config();
	struct rig *rig = &test->rig;
	uint8_t header[NET_VNET_HEADER_BYTES] = { 1, 0, 0, 0, 0, 0, 34, 0, 16 };

	begin(test, ECHO, &config);
	// A driver that takes no partial checksums.
	assert_int_equal(send_with_header(rig, header, 200, 4), 0);
	run_until(rig, rig->frames == 1);
	assert_int_equal(rig->frame_len, NET_VNET_HEADER_BYTES + 200);
	assert_int_equal(rig->frame[0], 0);
	assert_frame(rig->frame + NET_VNET_HEADER_BYTES, 50, 4); // before the checksum
	header[6] = 199;
	assert_int_equal(send_with_header(rig, header, 200, 4), 0);
	run_until(rig, rig->error == -EMSGSIZE);
	// One that does: both sides' headers are each other's.
	assert_int_equal(net_set_offloads(rig->net, NET_OFFLOAD_CSUM), 0);
	rig->frames = 0;
	assert_int_equal(send_with_header(rig, header, 200, 4), 0);
	run_until(rig, rig->frames == 1);
	assert_memory_equal(rig->frame, header, sizeof(header));
	assert_frame(rig->frame + NET_VNET_HEADER_BYTES, 200, 4);
	rig_exit(rig);
}

static void test_what_it_is(void **state)
{
	struct user_test *test = *state;
	struct net_config config = user_config();

	begin(test, ECHO, &config);
	assert_int_equal(net_info(test->rig.net)->mtu, 65520);
	assert_true(net_info(test->rig.net)->vnet_header);
	assert_int_equal(net_info(test->rig.net)->receive_offloads, NET_OFFLOAD_CSUM);
	rig_exit(&test->rig);
	config.mtu = 1500;
	begin(test, ECHO, &config);
	assert_int_equal(net_info(test->rig.net)->mtu, 1500);
	rig_exit(&test->rig);
}

static void kill_helper(struct user_test *test)
{
	struct rig *rig = &test->rig;
	pid_t pid = helper_of(test)->pid;

	rig->link_changes = 0;
	assert_int_equal(kill(pid, SIGKILL), 0);
	run_until(rig, rig->link_changes == 2);
	assert_true(rig->link_up);
	assert_int_not_equal(helper_of(test)->pid, pid);
	assert_int_equal(kill(pid, 0), -1); // no zombie
	expect_echo(rig);
}

static void test_a_killed_helper_is_replaced(void **state)
{
	struct user_test *test = *state;
	struct net_config config = user_config();

	begin(test, ECHO, &config);
	kill_helper(test);
	kill_helper(test);
	rig_exit(&test->rig);
}

// A guest that was started anew finds its link as it was, and a helper that does not know it.
static void test_another_helper_for_another_guest(void **state)
{
	struct user_test *test = *state;
	struct net_config config = user_config();
	pid_t pid;

	begin(test, ECHO, &config);
	expect_echo(&test->rig);
	pid = helper_of(test)->pid;
	net_forget(test->rig.net);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_not_equal(helper_of(test)->pid, pid);
	expect_echo(&test->rig);
	assert_int_equal(test->rig.link_changes, 0);

	// One that ended on its own is replaced anyhow.
	assert_int_equal(kill(helper_of(test)->pid, SIGKILL), 0);
	run_until(&test->rig, test->rig.link_changes == 1);
	net_forget(test->rig.net);
	run_until(&test->rig, test->rig.link_changes == 2);
	expect_echo(&test->rig);
	rig_exit(&test->rig);
}

static unsigned times_started(const struct user_test *test)
{
	struct stat st;

	return stat(test->record, &st) ? 0 : (unsigned)st.st_size;
}

// One that ends at once is not started again at once, and ever more rarely.
static void test_a_failing_helper_is_started_ever_more_rarely(void **state)
{
	struct user_test *test = *state;
	struct net_config config = user_config();
	const struct stream *stream;

	begin(test, "printf x >>$RECORD; echo what is wrong >&2; exit 7\n", &config);
	stream = container_of(test->rig.net, struct stream, net);
	// The end of the third one was seen, too.
	run_until(&test->rig, times_started(test) >= 3 && stream->redial_ns >= 200 * NSEC_PER_MSEC);
	assert_in_range(times_started(test), 3, 9);
	assert_string_equal(helper_of(test)->last_line, "what is wrong");
	rig_exit(&test->rig);
}

static void test_a_program_that_is_none(void **state)
{
	struct user_test *test = *state;
	struct net_config config = user_config();
	struct net *net;

	write_program(test->program, ECHO);
	assert_int_equal(truncate(test->program, 0), 0);
	// An empty file is no program for execve(), and posix_spawn() says so.
	assert_int_equal(net_open(&net, &config), -ENOEXEC);
}

static void test_close_ends_the_helper(void **state)
{
	struct user_test *test = *state;
	struct net_config config = user_config();
	pid_t pid;

	begin(test, "trap '' TERM HUP INT; while :; do sleep 1; done\n", &config);
	pid = helper_of(test)->pid;
	run_for(&test->rig, 20);
	rig_exit(&test->rig);
	assert_int_equal(kill(pid, 0), -1);
}

// Not the terminal, nor kvik's standard output, nor any other descriptor.
static void test_the_helper_gets_nothing_else(void **state)
{
	struct user_test *test = *state;
	struct net_config config = user_config();
	char text[200] = "";
	int leak = fcntl(STDERR_FILENO, F_DUPFD, 40), fd;

	begin(test,
	      "{ ls /proc/self/fd | grep -vx 255 | head -n 6 | tr '\\n' ' '; readlink /proc/$$/fd/0\n"
	      "ps -o sid= -p $$ | grep -qw $$ && echo own session; } >$RECORD.new 2>/dev/null\n"
	      "mv $RECORD.new $RECORD; " ECHO,
	      &config);
	run_until(&test->rig, access(test->record, F_OK) == 0);
	fd = open(test->record, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	close(leak);
	// 4 is the memory that it shares, 5 ls's own.
	assert_string_equal(text, "0 1 2 3 4 5 /dev/null\nown session\n");
	rig_exit(&test->rig);
}

// Sends a frame of 20 bytes that lies in the shared memory from byte @offset (four escapes) on;
// its header, of zeroes, goes through the socket.
#define SEND_SHARED(offset)                                                               \
	"printf '\\200\\0\\0\\034" offset "\\0\\0\\0\\024\\0\\0\\0\\0\\0\\0\\0\\0' >&3\n" \
	"printf '\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0' >&3\n"

static void expect_shared(struct rig *rig, const char data[20])
{
	run_until(rig, rig->frames == 1);
	assert_int_equal(rig->frame_len, NET_VNET_HEADER_BYTES + 20);
	assert_memory_equal(rig->frame + NET_VNET_HEADER_BYTES, data, 20);
}

// Nothing of it is left for the next helper.
static void test_memory_is_shared_with_the_helper(void **state)
{
	static const char nothing[20];
	struct user_test *test = *state;
	struct net_config config = user_config();

	begin(test,
	      "[ -e $RECORD ] || printf '12abcdefghijklmnopqrst' >&4\n"
	      "echo >$RECORD\n" SEND_SHARED("\\0\\0\\0\\2") ECHO,
	      &config);
	expect_shared(&test->rig, "abcdefghijklmnopqrst");
	expect_echo(&test->rig);
	test->rig.frames = 0;
	kill(helper_of(test)->pid, SIGKILL);
	expect_shared(&test->rig, nothing);
	rig_exit(&test->rig);
}

// It tries to take the memory away, and refers to what would have gone.
static void test_memory_cannot_be_taken_away(void **state)
{
	static const char nothing[20];
	struct user_test *test = *state;
	struct net_config config = user_config();

	begin(test,
	      "truncate -s 0 /proc/$$/fd/4 2>/dev/null || echo refused >$RECORD\n" SEND_SHARED(
		      "\\0\\1\\0\\0") ECHO,
	      &config);
	expect_shared(&test->rig, nothing);
	assert_int_equal(access(test->record, F_OK), 0);
	rig_exit(&test->rig);
}

static void test_messages_are_lines(void **state)
{
	struct user_test *test = *state;
	struct net_config config = user_config();

	begin(test,
	      "printf 'one\\ntw' >&2; sleep 0.05; printf 'o\\n' >&2\n"
	      "head -c 3000 /dev/zero | tr '\\0' x >&2; echo >&2; echo end >&2; " ECHO,
	      &config);
	run_until(&test->rig, strcmp(helper_of(test)->last_line, "end") == 0);
	expect_echo(&test->rig);
	rig_exit(&test->rig);
}

// -- arguments --

static const char *arguments_of(struct user_test *test, const struct net_config *config)
{
	static char text[1000];

	text[0] = '\0';
	begin(test, ECHO, config);
	for (char **arg = helper_of(test)->argv; *arg; arg++) {
		strcat(text, *arg);
		strcat(text, " ");
	}
	rig_exit(&test->rig);
	return text;
}

static void test_slirp_arguments(void **state)
{
	struct net_forward forwards[] = {
		{ .host_port = 47001, .guest_port = 22 },
		{ .udp = true,
		  .host_address = "127.0.0.1",
		  .guest_address = "192.168.33.15",
		  .host_port = 47002,
		  .guest_port = 53 },
		{ .host_address = "::1",
		  .guest_address = "fd6b::1",
		  .host_port = 47003,
		  .guest_port = 80 },
	};
	struct net_config config = user_config();

	assert_string_equal(
		arguments_of(*state, &config),
		"kvik-slirp --fd 3 --area 4 --host-ip 192.168.33.1 --guest-ip 192.168.33.15 "
		"--mtu 65520 ");
	config.host_ip = "10.0.0.1";
	config.guest_ip = "10.0.0.2";
	config.mtu = 1400;
	config.forwards = forwards;
	config.forward_count = ARRAY_SIZE(forwards);
	assert_string_equal(
		arguments_of(*state, &config),
		"kvik-slirp --fd 3 --area 4 --host-ip 10.0.0.1 --guest-ip 10.0.0.2 --mtu 1400 "
		"--forward tcp:47001-22 "
		"--forward udp:127.0.0.1:47002-192.168.33.15:53 "
		"--forward tcp:[::1]:47003-[fd6b::1]:80 ");
}

static void test_passt_arguments(void **state)
{
	struct user_test *test = *state;
	struct net_forward forwards[] = {
		{ .host_port = 47001, .guest_port = 22 },
		{ .udp = true, .host_address = "127.0.0.1", .host_port = 47002, .guest_port = 53 },
	};
	struct net_config config = user_config();
	char *before = strdup(getenv("PATH")), path[200];

	config.backend = NET_USER_PASST;
	snprintf(path, sizeof(path), "/nowhere:%s:%.100s", test->directory, before);
	setenv("PATH", path, 1);
	assert_string_equal(arguments_of(test, &config),
			    "passt --foreground --quiet --fd 3 --mtu 1500 ");
	config.host_ip = "10.0.0.1";
	config.guest_ip = "10.0.0.2";
	config.mtu = 9000;
	config.forwards = forwards;
	config.forward_count = ARRAY_SIZE(forwards);
	assert_string_equal(arguments_of(test, &config),
			    "passt --foreground --quiet --fd 3 --mtu 9000 --address 10.0.0.2 "
			    "--gateway 10.0.0.1 --tcp-ports 47001:22 "
			    "--udp-ports 127.0.0.1/47002:53 ");
	setenv("PATH", before, 1);
	free(before);
}

// -- what is refused --

static void refused(const struct net_config *config, int err)
{
	struct net *net;

	assert_int_equal(net_open(&net, config), -err);
}

static void refused_forward(struct net_forward forward, enum net_user_backend backend, int err)
{
	struct net_config config = user_config();

	config.backend = backend;
	config.forwards = &forward;
	config.forward_count = 1;
	refused(&config, err);
}

static void test_no_program(void **state)
{
	struct user_test *test = *state;
	struct net_config config = user_config();
	char *before = strdup(getenv("PATH"));

	refused(&config, ENOENT);
	config.optional = true; // the same, but said as information
	refused(&config, ENOENT);
	config.backend = NET_USER_PASST;
	setenv("PATH", "/nowhere", 1);
	refused(&config, ENOENT);
	setenv("PATH", before, 1);
	free(before);
	write_program(test->program, ECHO);
	chmod(test->program, 0644);
	config = user_config();
	// Root is refused what nobody may execute, too.
	refused(&config, EACCES);
}

static void test_bad_mtu(void **state)
{
	struct user_test *test = *state;
	struct net_config config = user_config();

	write_program(test->program, ECHO);
	config.mtu = 575;
	refused(&config, EINVAL);
	config.mtu = 65521;
	refused(&config, EINVAL);
}

static void test_bad_forwards(void **state)
{
	struct user_test *test = *state;
	struct net_forward good = { .host_port = 47001, .guest_port = 22 }, forward;

	write_program(test->program, ECHO);
	forward = good;
	forward.host_address = "localhost";
	refused_forward(forward, NET_USER_SLIRP, EINVAL);
	forward = good;
	forward.guest_address = "1.2.3";
	refused_forward(forward, NET_USER_SLIRP, EINVAL);
	forward = good;
	forward.host_address = "::1"; // and the guest's is an IPv4 address
	refused_forward(forward, NET_USER_SLIRP, EINVAL);
}

static void test_a_port_that_is_taken(void **state)
{
	struct user_test *test = *state;
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	write_program(test->program, ECHO);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	refused_forward((struct net_forward){ .host_address = "127.0.0.1",
					      .host_port = ntohs(address.sin_port),
					      .guest_port = 22 },
			NET_USER_SLIRP, EADDRINUSE);
	close(fd);
}

#define USER_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		USER_TEST(test_frames_go_through_the_helper),
		USER_TEST(test_checksums),
		USER_TEST(test_what_it_is),
		USER_TEST(test_a_killed_helper_is_replaced),
		USER_TEST(test_another_helper_for_another_guest),
		USER_TEST(test_a_failing_helper_is_started_ever_more_rarely),
		USER_TEST(test_a_program_that_is_none),
		USER_TEST(test_close_ends_the_helper),
		USER_TEST(test_the_helper_gets_nothing_else),
		USER_TEST(test_memory_is_shared_with_the_helper),
		USER_TEST(test_memory_cannot_be_taken_away),
		USER_TEST(test_messages_are_lines),
		USER_TEST(test_slirp_arguments),
		USER_TEST(test_passt_arguments),
		USER_TEST(test_no_program),
		USER_TEST(test_bad_mtu),
		USER_TEST(test_bad_forwards),
		USER_TEST(test_a_port_that_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
