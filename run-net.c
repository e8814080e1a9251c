// SPDX-License-Identifier: GPL-2.0-or-later
// kvik run's option -n, --network: KEY=VALUE,... to struct net_config.

#include "run-net.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "net.h"
#include "options.h"
#include "vm-config.h"

#define MAC_BYTES 6
#define ADDRESS_BYTES 64 // more than any IP address takes as text
#define NETWORKS_MAX 64

enum { IN_USER = 1 << NET_USER, IN_TAP = 1 << NET_TAP, IN_STREAM = 1 << NET_STREAM };
#define IN_ALL (IN_USER | IN_TAP | IN_STREAM)

static const char *const mode_names[] = { "user", "tap", "stream" };
static_assert(ARRAY_SIZE(mode_names) == NET_COUNT, "a name for each mode");

// One -n on its way into a config.
struct parse {
	struct net_config net;
	bool none;
	bool has_mode;
	unsigned modes; // in which all keys so far make sense
};

static int bad_value(const char *key, const char *value, const char *why)
{
	return fail_msg(EINVAL, "--network: %s=%s: %s", key, value, why);
}

static int keep_text(const char **text, const char *value)
{
	free((char *)*text);
	*text = strdup(value);
	return *text ? 0 : fail(ENOMEM, "--network");
}

static int parse_unsigned(const char *value, unsigned long max, unsigned long *number)
{
	char *end;

	if (value[0] < '0' || value[0] > '9')
		return -EINVAL;
	errno = 0;
	*number = strtoul(value, &end, 10);
	return errno || *end || *number > max ? -EINVAL : 0;
}

// -- values --

static int set_mode(struct parse *parse, const char *value)
{
	parse->has_mode = true;
	parse->none = strcmp(value, "none") == 0;
	for (unsigned i = 0; i < NET_COUNT; i++) {
		if (strcmp(value, mode_names[i]) == 0) {
			parse->net.mode = (enum net_mode)i;
			return 0;
		}
	}
	return parse->none ? 0 : bad_value("mode", value, "use user, tap, stream or none");
}

static bool parse_mac(const char *text, uint8_t mac[MAC_BYTES])
{
	for (unsigned i = 0; i < MAC_BYTES; i++) {
		unsigned byte;
		int used = 0;

		// "%2x" alone would take blanks and signs, too.
		if (strspn(text, "0123456789abcdefABCDEF") < 1 ||
		    sscanf(text, "%2x%n", &byte, &used) != 1)
			return false;
		text += used;
		if (*text++ != (i < MAC_BYTES - 1 ? ':' : '\0'))
			return false;
		mac[i] = (uint8_t)byte;
	}
	return true;
}

static int set_mac(struct parse *parse, const char *value)
{
	static const uint8_t zero[MAC_BYTES];

	if (!parse_mac(value, parse->net.mac) || memcmp(parse->net.mac, zero, MAC_BYTES) == 0)
		return bad_value("mac", value, "is no address; give one such as 02:15:15:15:15:15");
	// IEEE 802: the first byte's lowest bit.
	if (parse->net.mac[0] & 1)
		return bad_value("mac", value, "is a group's address; its first byte must be even");
	parse->net.any_mac = false;
	return 0;
}

static int set_ip(const char *key, const char **text, const char *value)
{
	struct in_addr address;

	if (inet_pton(AF_INET, value, &address) != 1)
		return bad_value(key, value, "is no IPv4 address; give one such as 192.168.33.1");
	return keep_text(text, value);
}

static int set_host_ip(struct parse *parse, const char *value)
{
	return set_ip("host_ip", &parse->net.host_ip, value);
}

static int set_guest_ip(struct parse *parse, const char *value)
{
	return set_ip("guest_ip", &parse->net.guest_ip, value);
}

static int set_mtu(struct parse *parse, const char *value)
{
	unsigned long mtu;

	static_assert(NET_MTU_MIN == 68 && NET_MTU_MAX == 65535, "the message says so");
	if (parse_unsigned(value, NET_MTU_MAX, &mtu) || mtu < NET_MTU_MIN)
		return bad_value("mtu", value, "give a number from 68 to 65535");
	parse->net.mtu = (uint16_t)mtu;
	return 0;
}

static int set_queues(struct parse *parse, const char *value)
{
	unsigned long pairs;

	static_assert(NET_QUEUE_PAIRS_MAX == 8, "the message says so");
	if (parse_unsigned(value, NET_QUEUE_PAIRS_MAX, &pairs) || !pairs)
		return bad_value("mq", value, "give a number of queue pairs from 1 to 8");
	parse->net.queue_pairs = (unsigned)pairs;
	return 0;
}

static int set_transport(struct parse *parse, const char *value)
{
	if (strcmp(value, "mmio") == 0)
		return 0;
	return bad_value("trans", value, "there is no such bus in this machine; use mmio");
}

static int set_backend(struct parse *parse, const char *value)
{
	if (strcmp(value, "slirp") == 0)
		parse->net.backend = NET_USER_SLIRP;
	else if (strcmp(value, "passt") == 0)
		parse->net.backend = NET_USER_PASST;
	else
		return bad_value("backend", value, "use slirp or passt");
	return 0;
}

static int set_script(const char **text, const char *value)
{
	if (strcmp(value, "none") != 0)
		return keep_text(text, value);
	free((char *)*text);
	*text = NULL;
	return 0;
}

static int set_up_script(struct parse *parse, const char *value)
{
	return set_script(&parse->net.script, value);
}

static int set_down_script(struct parse *parse, const char *value)
{
	return set_script(&parse->net.down_script, value);
}

static int set_tap_name(struct parse *parse, const char *value)
{
	return keep_text(&parse->net.tap_name, value);
}

static int set_bridge(struct parse *parse, const char *value)
{
	return keep_text(&parse->net.bridge, value);
}

static int set_bridge_helper(struct parse *parse, const char *value)
{
	return keep_text(&parse->net.bridge_helper, value);
}

static int set_path(struct parse *parse, const char *value)
{
	return keep_text(&parse->net.socket_path, value);
}

static int parse_switch(const char *key, const char *value, bool *on)
{
	*on = strcmp(value, "1") == 0;
	return *on || strcmp(value, "0") == 0 ? 0 : bad_value(key, value, "use 0 or 1");
}

static int set_vhost(struct parse *parse, const char *value)
{
	return parse_switch("vhost", value, &parse->net.vhost);
}

static int set_listen(struct parse *parse, const char *value)
{
	return parse_switch("listen", value, &parse->net.listen);
}

static int set_fd(struct parse *parse, const char *value)
{
	unsigned long fd;

	if (parse_unsigned(value, INT32_MAX, &fd))
		return bad_value("fd", value, "give the number of an open descriptor");
	parse->net.fd = (int)fd;
	return 0;
}

static int set_rate(const char *key, const char *value, struct rate *rate)
{
	if (rate_parse(value, rate))
		return bad_value(key, value,
				 "give a number a second, such as 1000 or 10M, and with a ':' what "
				 "may pass at once");
	return 0;
}

static int set_ops_rate(struct parse *parse, const char *value)
{
	return set_rate("iops", value, &parse->net.rate.ops);
}

static int set_bytes_rate(struct parse *parse, const char *value)
{
	return set_rate("bw", value, &parse->net.rate.bytes);
}

// -- hostfwd --

// "[ADDR:]PORT", an IPv6 address in brackets.
static bool parse_endpoint(char *text, const char **address, uint16_t *port)
{
	char *colon = strrchr(text, ':');
	unsigned char binary[sizeof(struct in6_addr)];
	unsigned long number;
	size_t length;

	if (parse_unsigned(colon ? colon + 1 : text, UINT16_MAX, &number) || !number)
		return false;
	*port = (uint16_t)number;
	*address = NULL;
	if (!colon || colon == text)
		return true;
	*colon = '\0';
	length = strlen(text);
	if (text[0] == '[' && text[length - 1] == ']') {
		text[length - 1] = '\0';
		text++;
	}
	if (inet_pton(AF_INET, text, binary) != 1 && inet_pton(AF_INET6, text, binary) != 1)
		return false;
	*address = text;
	return true;
}

// Cuts @text in two.
static bool parse_forward(char *text, struct net_forward *forward)
{
	char *colon = strchr(text, ':'), *dash = strchr(text, '-');

	if (!colon || !dash || colon > dash)
		return false;
	*colon = *dash = '\0';
	forward->udp = strcmp(text, "udp") == 0;
	return (forward->udp || strcmp(text, "tcp") == 0) &&
	       parse_endpoint(colon + 1, &forward->host_address, &forward->host_port) &&
	       parse_endpoint(dash + 1, &forward->guest_address, &forward->guest_port);
}

static char *copy_or_null(const char *text)
{
	return text ? strdup(text) : NULL;
}

static int add_forward(struct net_config *net, const struct net_forward *forward)
{
	unsigned count = net->forward_count;
	struct net_forward *forwards = reallocarray(net->forwards, count + 1, sizeof(*forwards));

	if (!forwards)
		return fail(ENOMEM, "--network");
	net->forwards = forwards;
	net->forward_count = count + 1;
	forwards[count] = *forward;
	forwards[count].host_address = copy_or_null(forward->host_address);
	forwards[count].guest_address = copy_or_null(forward->guest_address);
	if (!forwards[count].host_address != !forward->host_address ||
	    !forwards[count].guest_address != !forward->guest_address)
		return fail(ENOMEM, "--network");
	return 0;
}

static int set_forward(struct parse *parse, const char *value)
{
	struct net_forward forward = { 0 };
	char *text = strdup(value);
	int err;

	if (!text)
		return fail(ENOMEM, "--network");
	err = parse_forward(text, &forward) ?
		      add_forward(&parse->net, &forward) :
		      bad_value("hostfwd", value,
				"give PROTO:[ADDR:]PORT-[ADDR:]PORT, such as tcp:8080-80 or "
				"udp:[::1]:53-53");
	free(text);
	return err;
}

// -- keys --

static const struct key {
	const char *name;
	unsigned modes; // where it makes sense
	int (*set)(struct parse *parse, const char *value);
} keys[] = {
	{ "mode", IN_ALL, set_mode },
	{ "mac", IN_ALL, set_mac },
	{ "guest_mac", IN_ALL, set_mac },
	{ "mtu", IN_ALL, set_mtu },
	{ "trans", IN_ALL, set_transport },
	{ "iops", IN_ALL, set_ops_rate },
	{ "bw", IN_ALL, set_bytes_rate },
	// lkvm takes these in every mode.
	{ "host_ip", IN_USER | IN_TAP, set_host_ip },
	{ "guest_ip", IN_USER | IN_TAP, set_guest_ip },
	{ "script", IN_USER | IN_TAP, set_up_script },
	{ "downscript", IN_USER | IN_TAP, set_down_script },
	{ "backend", IN_USER, set_backend },
	{ "hostfwd", IN_USER, set_forward },
	{ "tapif", IN_TAP, set_tap_name },
	{ "bridge", IN_TAP, set_bridge },
	{ "helper", IN_TAP, set_bridge_helper },
	{ "mq", IN_TAP, set_queues },
	{ "vhost", IN_TAP, set_vhost },
	{ "fd", IN_TAP | IN_STREAM, set_fd },
	{ "path", IN_STREAM, set_path },
	{ "listen", IN_STREAM, set_listen },
};

static int unknown_key(const char *name)
{
	const char *names[ARRAY_SIZE(keys)], *near;

	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
		names[i] = keys[i].name;
	near = nearest_name(name, names, ARRAY_SIZE(keys));
	if (near)
		return fail_msg(EINVAL, "--network: there is no key '%s'; did you mean '%s'?", name,
				near);
	return fail_msg(EINVAL, "--network: there is no key '%s'; see kvik-run(1)", name);
}

static int wrong_mode(const struct parse *parse, const char *name, const struct key *key)
{
	unsigned wanted = (unsigned)__builtin_ctz(key->modes);

	if (parse->none)
		return fail_msg(EINVAL, "--network: '%s' makes no sense where there is none", name);
	return fail_msg(EINVAL, "--network: '%s' is not for mode=%s; use it with mode=%s", name,
			mode_names[parse->net.mode], mode_names[wanted]);
}

static int set_key(struct parse *parse, const char *name, const char *value)
{
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(name, keys[i].name) != 0)
			continue;
		parse->modes &= keys[i].modes;
		return value[0] ? keys[i].set(parse, value) :
				  bad_value(name, value, "has no value");
	}
	return unknown_key(name);
}

// "KEY=VALUE", "listen" or a mode alone.
static int parse_item(struct parse *parse, char *item)
{
	char *equals = strchr(item, '=');

	if (equals) {
		*equals = '\0';
		return set_key(parse, item, equals + 1);
	}
	return strcmp(item, "listen") == 0 ? set_key(parse, item, "1") : set_mode(parse, item);
}

static int parse_items(struct parse *parse, char *text)
{
	char *item, *rest = text;

	while ((item = strsep(&rest, ","))) {
		int err = parse_item(parse, item);

		if (err)
			return err;
	}
	return 0;
}

// lkvm's networks are taps unless they say otherwise; keys that it does not know may.
static void choose_mode(struct parse *parse)
{
	if (parse->has_mode)
		return;
	parse->net.mode = parse->modes == IN_USER   ? NET_USER :
			  parse->modes == IN_STREAM ? NET_STREAM :
						      NET_TAP;
}

// Finds the key again that does not fit the mode.
static int check_keys(const struct parse *parse, const char *argument)
{
	unsigned mode = parse->none ? 0 : 1u << parse->net.mode;

	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		size_t length = strlen(keys[i].name);

		for (const char *at = argument; at; at = strchr(at, ',')) {
			at += *at == ',';
			if (keys[i].set != set_mode && strncmp(at, keys[i].name, length) == 0 &&
			    strchr("=,", at[length]) && !(keys[i].modes & mode))
				return wrong_mode(parse, keys[i].name, &keys[i]);
		}
	}
	return 0;
}

static int check_whole(const struct parse *parse)
{
	const struct net_config *net = &parse->net;
	bool by_fd = net->fd >= 0;

	if (net->mode == NET_STREAM && !net->socket_path == !by_fd)
		return fail_msg(EINVAL, "--network: mode=stream: give either path=SOCKET or fd=N");
	if (net->mode == NET_TAP && by_fd && (net->tap_name || net->bridge))
		return fail_msg(EINVAL,
				"--network: fd=%d is a tap already; leave tapif= and "
				"bridge= out",
				net->fd);
	if (net->mode == NET_TAP && by_fd && net->queue_pairs > 1)
		return fail_msg(EINVAL,
				"--network: fd=%d is one queue; leave mq= out, or name the "
				"tap by tapif=",
				net->fd);
	if (net->bridge_helper && !net->bridge)
		return fail_msg(EINVAL, "--network: helper= is for a bridge; name it by bridge=");
	return 0;
}

// -- the option --

static void free_net(struct net_config *net)
{
	const char *texts[] = { net->host_ip,     net->guest_ip,      net->tap_name,
				net->bridge,      net->bridge_helper, net->script,
				net->down_script, net->socket_path };

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
		free((char *)texts[i]);
	for (unsigned i = 0; i < net->forward_count; i++) {
		free((char *)net->forwards[i].host_address);
		free((char *)net->forwards[i].guest_address);
	}
	free(net->forwards);
}

static int add_net(struct vm_config *config, const struct net_config *net)
{
	struct net_config *nets;

	if (config->net_count == NETWORKS_MAX)
		return fail_msg(EINVAL, "--network: more than %d are too many", NETWORKS_MAX);
	nets = reallocarray(config->nets, config->net_count + 1, sizeof(*nets));
	if (!nets)
		return fail(ENOMEM, "--network");
	config->nets = nets;
	nets[config->net_count++] = *net;
	return 0;
}

static int check_none(const struct vm_config *config)
{
	if (config->no_network && config->net_count)
		return fail_msg(EINVAL, "--network: 'none' and a network exclude each other");
	return 0;
}

static int parse_text(struct parse *parse, const char *argument)
{
	char *text = strdup(argument);
	int err;

	if (!text)
		return fail(ENOMEM, "--network");
	err = parse_items(parse, text);
	free(text);
	if (err)
		return err;
	choose_mode(parse);
	err = check_keys(parse, argument);
	return err || parse->none ? err : check_whole(parse);
}

int network_parse(void *value, const char *argument)
{
	struct vm_config *config = value;
	struct parse parse = { .net = { .fd = -1, .any_mac = true }, .modes = IN_ALL };
	int err = parse_text(&parse, argument);

	if (!err && !parse.none)
		err = add_net(config, &parse.net);
	if (err || parse.none)
		free_net(&parse.net);
	if (!err && parse.none)
		config->no_network = true;
	return err ? err : check_none(config);
}

// -- what is not given --

// FNV-1a, 64 bits.
static uint64_t hash_name(const char *name, unsigned index)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3;
	return (hash ^ index) * 0x100000001b3;
}

// Behind user mode each guest is alone and gets lkvm's address; elsewhere it has neighbours,
// so that the address must be its own: locally administered (IEEE 802), and the same
// whenever a VM of this name starts.
static void default_mac(struct net_config *net, const char *name, unsigned index)
{
	uint64_t hash = hash_name(name, index);

	for (unsigned i = 0; i < MAC_BYTES; i++)
		net->mac[i] = net->mode == NET_USER ? 0x15 : (uint8_t)(hash >> 8 * i);
	net->mac[0] = 0x02;
	if (net->mode == NET_USER)
		net->mac[MAC_BYTES - 1] += (uint8_t)index;
}

int network_finish(struct vm_config *config)
{
	struct net_config user = { .mode = NET_USER, .optional = true, .any_mac = true, .fd = -1 };

	if (!config->net_count && !config->no_network && !config->no_defaults) {
		int err = add_net(config, &user);

		if (err)
			return err;
	}
	for (unsigned i = 0; i < config->net_count; i++)
		if (config->nets[i].any_mac)
			default_mac(&config->nets[i], config->name, i);
	return 0;
}

void network_free(struct vm_config *config)
{
	for (unsigned i = 0; i < config->net_count; i++)
		free_net(&config->nets[i]);
	free(config->nets);
	config->nets = NULL;
	config->net_count = 0;
}
