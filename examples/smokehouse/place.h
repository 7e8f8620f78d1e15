/* place.h - where the application keeps its files: SMOKEHOUSE_DATA, or
 * ./var/smokehouse. */
#ifndef PLACE_H
#define PLACE_H

#include <limits.h>
#include <stdbool.h>

enum { PLACE_MAX = PATH_MAX };

/* DATA/@name. False when that is too long, or the data folder is not there and
 * cannot be made. */
bool place_in_data(const char *name, char ret[PLACE_MAX]);
/* The same for a folder, which is made. */
bool place_folder(const char *name, char ret[PLACE_MAX]);

#endif
