#include "portal/event_data.h"

#include <libpq-fe.h>

#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "http/time.h"
#include "io/postgres.h"
#include "portal/client_portal_config.h"
#include "portal/customer.h"
#include "portal/file_sharing.h"
#include "portal/payment.h"
#include "portal/portal_item.h"

namespace portal {
namespace {

using http::Json;

struct Rendering {
    std::string_view types;   // one, or all that begin with this when it ends in a dot
    std::string_view prefix;  // of the columns that `render` reads
    Json (*render)(const io::Row& row);
};

constexpr Rendering renderings[] = {
    {"customer.", "customer_", customer_json},
    {"file_sharing_session.", "session_", file_share_session_json},
    {"payment.updated", "payment_", payment_json},
    {"portal_item.", "item_", portal_item_json},
    {"client_portal.config_updated", "", client_portal_config_json},
};

// As portal.time_text() writes it: UTC, with six digits of a fraction or none.
std::string time_text(std::string_view stored) {
    const http::Time time = http::parse_time(stored);
    const std::size_t point = time.utc.find('.');
    if (!time.trouble.empty() || point == std::string::npos) {
        return time.trouble.empty() ? time.utc : std::string(stored);
    }
    std::string fraction = time.utc.substr(point, time.utc.size() - point - 1);  // without the Z
    fraction.resize(7, '0');
    return time.utc.substr(0, point) + fraction + "Z";
}

// A value as PostgreSQL sends it.
std::string value_text(std::string_view column, const Json& value) {
    if (value.is_boolean()) {
        return value.boolean() ? "t" : "f";
    }
    if (value.is_string()) {
        return column.ends_with("_at") ? time_text(value.text()) : std::string(value.text());
    }
    return value.dump();
}

// The one row of a result whose columns are the members of `stored`, for who reads rows of a query.
io::Rows row_of(const Json& stored, std::string_view prefix) {
    PGresult* result = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
    if (result == nullptr) {
        throw std::bad_alloc();
    }
    io::Rows rows(result);
    std::vector<std::string> names, values;
    std::vector<bool> nulls;
    const char* name = nullptr;
    json_t* member = nullptr;
    json_object_foreach(stored.get(), name, member) {
        const Json value = Json::borrow(member);
        names.push_back(std::string(prefix) + name);
        values.push_back(value_text(name, value));
        nulls.push_back(value.is_null());
    }
    std::vector<PGresAttDesc> columns(names.size());
    for (std::size_t index = 0; index < names.size(); ++index) {
        columns[index].name = names[index].data();
    }
    bool whole = PQsetResultAttrs(result, int(columns.size()), columns.data()) != 0;
    for (std::size_t index = 0; whole && index < names.size(); ++index) {
        std::string& value = values[index];
        whole = PQsetvalue(result, 0, int(index), nulls[index] ? nullptr : value.data(),
                           nulls[index] ? -1 : int(value.size())) != 0;
    }
    if (!whole) {
        throw std::bad_alloc();
    }
    return rows;
}

bool renders(const Rendering& rendering, std::string_view type) {
    return rendering.types.ends_with('.') ? type.starts_with(rendering.types)
                                          : type == rendering.types;
}

}  // namespace

Json event_data(std::string_view type, const Json& stored) {
    for (const Rendering& rendering : renderings) {
        if (!renders(rendering, type)) {
            continue;
        }
        try {
            const io::Rows rows = row_of(stored, rendering.prefix);
            return rows.empty() ? Json::object() : rendering.render(rows.front());
        } catch (const std::logic_error&) {  // no such column
            return Json::object({{"id", stored["id"].present() ? stored["id"] : Json(nullptr)}});
        }
    }
    return stored;
}

}  // namespace portal
