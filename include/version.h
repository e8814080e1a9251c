// SPDX-License-Identifier: GPL-2.0-or-later
// The version number, in its one place.
#ifndef KVIK_VERSION_H
#define KVIK_VERSION_H

#define KVIK_VERSION "0.1.0"

#endif
