// SPDX-License-Identifier: GPL-2.0-or-later
// Which received frames reach the driver, by address and VLAN (virtio 1.2 5.1.6.5.1 to
// 5.1.6.5.3).

#include <string.h>

#include "net-priv.h"

#define TYPE_OFFSET (2 * MAC_BYTES)
#define TYPE_VLAN 0x8100 // IEEE 802.1Q
#define VLAN_ID_MASK 0xfff

// Until the driver says otherwise all frames are its own.
void net_filter_init(struct net_filter *filter, const uint8_t mac[MAC_BYTES])
{
	*filter = (struct net_filter){ .promiscuous = true };
	memcpy(filter->mac, mac, MAC_BYTES);
}

static bool in_table(const struct net_mac_table *table, const uint8_t *mac)
{
	for (unsigned i = 0; i < table->count; i++)
		if (memcmp(table->macs[i], mac, MAC_BYTES) == 0)
			return true;
	return table->all;
}

static bool address_passes(const struct net_filter *filter, const uint8_t *mac)
{
	static const uint8_t broadcast[MAC_BYTES] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (memcmp(mac, broadcast, MAC_BYTES) == 0)
		return !filter->no_broadcast;
	if (mac[0] & 1) // a group address: IEEE 802
		return !filter->no_multicast &&
		       (filter->all_multicast || in_table(&filter->multicast, mac));
	return !filter->no_unicast &&
	       (filter->all_unicast || memcmp(mac, filter->mac, MAC_BYTES) == 0 ||
		in_table(&filter->unicast, mac));
}

static uint16_t read_be16(const uint8_t *bytes)
{
	return bytes[0] << 8 | bytes[1];
}

static bool vlan_passes(const struct net_filter *filter, const uint8_t *start, size_t bytes)
{
	unsigned id;

	if (!filter->by_vlan || bytes < TYPE_OFFSET + VLAN_TAG_BYTES ||
	    read_be16(start + TYPE_OFFSET) != TYPE_VLAN)
		return true;
	id = read_be16(start + TYPE_OFFSET + 2) & VLAN_ID_MASK;
	return filter->vlans[id / 8] >> id % 8 & 1;
}

bool net_filter_passes(const struct net_filter *filter, const uint8_t *start, size_t bytes)
{
	if (bytes < ETHERNET_HEADER_BYTES)
		return false;
	return filter->promiscuous ||
	       (address_passes(filter, start) && vlan_passes(filter, start, bytes));
}
