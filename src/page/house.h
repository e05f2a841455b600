// House: the workspace whose page is shown, and how its client portal looks.
#pragma once

#include <optional>
#include <string>

#include "http/json.h"
#include "io/task.h"
#include "portal/services.h"

namespace portal::page {

struct House {
    std::string id, name, slug;
    std::optional<std::string> avatar_url, share_url;
    std::string portal_name, primary_color, secondary_color;
    std::optional<std::string> portal_logo;   // as configured: a path or an https URL
    bool lists_hosts = false;                 // the only ones that a return_url may lead to
};

// A living workspace, its slug in any case.
io::Task<std::optional<House>> find_house(Services& portal, std::string slug);

struct LinkedHouse {
    House house;
    bool living = false;   // the link still opens the portal
};
// The house a contact's or company's link leads to; nullopt: never one of ours. Changes nothing.
io::Task<std::optional<LinkedHouse>> find_linked_house(Services& portal, std::string token);

}  // namespace portal::page
