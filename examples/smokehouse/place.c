/* Place: paths below one folder. */
#include "place.h"

#include <stdio.h>
#include <stdlib.h>

#include "output.h"

bool
place_in_data(const char *name, char ret[PLACE_MAX])
{
    const char *own = getenv("SMOKEHOUSE_DATA");
    const char *data = own && *own ? own : "var/smokehouse";
    int n = snprintf(ret, PLACE_MAX, "%s/%s", data, name);

    return n > 0 && n < PLACE_MAX && output_folder(data);
}

bool
place_folder(const char *name, char ret[PLACE_MAX])
{
    return place_in_data(name, ret) && output_folder(ret);
}
