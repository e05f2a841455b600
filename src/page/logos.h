// Logos: the pictures below portal_logo_root, which tenants' portal_logo names by their paths. Read when they are asked
// for: a logo may be put there while nginx runs.
#pragma once

#include <string>
#include <string_view>

#include "http/response.h"

namespace portal::page {

class Logos {
  public:
    // root: a directory, or "" for none.
    explicit Logos(std::string root) : root_(std::move(root)) {}

    // Below the base URL's path, escaped; "" for what is none of them: an address, no picture, no root.
    std::string address_of(std::string_view logo) const;
    // The file at that path. Throws 404 where there is none that is a picture of at most 1 MB.
    http::Response answer(std::string_view path) const;

  private:
    std::string root_;
};

}  // namespace portal::page
