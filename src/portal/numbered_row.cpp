#include "portal/numbered_row.h"

namespace portal {
namespace {

using http::Json;
using io::Parameters;

void refuse(std::string_view refused, const NumberedNoun& noun, const Json& members) {
    if (refused.empty()) {
        return;
    }
    const std::string words = " " + std::string(refused) + " ";
    const std::string_view scope = scope_name(Scope::customers_write);
    if (words.find(" " + std::string(scope) + " ") != std::string::npos) {
        throw http::insufficient_scope(scope);
    }
    std::vector<http::Problem> problems;
    for (const NumberedRule& rule : noun.rules) {
        if (words.find(" " + std::string(rule.word) + " ") != std::string::npos) {
            Json input = members[rule.field];
            problems.push_back(http::business_problem({"body", rule.field}, rule.sentence,
                                                      input.present() ? input : Json(nullptr)));
        }
    }
    throw http::validation_failed(std::move(problems));
}

}  // namespace

io::Task<Saved> save_numbered(io::Postgres& db, std::string workspace_id, const NumberedNoun& noun,
                              Json members, KeyClaim claim) {
    for (int attempt = 1; attempt <= 2; ++attempt) {
        std::optional<Claimed> earlier = co_await claimed_answer(db, workspace_id, claim);
        if (earlier) {
            Json row = co_await find_numbered(db, workspace_id, noun, number_of(earlier->resource));
            co_return Saved{std::move(row), earlier->status == 201};
        }
        Parameters parameters(workspace_id, members.dump());
        claim.add_to(parameters);
        io::Rows rows =
            co_await query_once_more(db, noun.save, std::move(parameters), claim.key.given());
        refuse(rows.front().text("refused"), noun, members);
        if (!rows.front().null(noun.number)) {
            co_return Saved{noun.render(rows.front()), rows.front().boolean("made")};
        }
        // another request was faster with this key
    }
    throw still_running();
}

io::Task<Json> change_numbered(io::Postgres& db, std::string workspace_id, const NumberedNoun& noun,
                               std::int64_t number, Json members) {
    Parameters parameters(workspace_id, number, members.dump());
    io::Rows rows = co_await query_once_more(db, noun.change, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    refuse(rows.front().text("refused"), noun, members);
    if (rows.front().null(noun.number)) {
        throw http::resource_not_found();  // deleted in between
    }
    co_return noun.render(rows.front());
}

io::Task<Json> find_numbered(io::Postgres& db, std::string workspace_id, const NumberedNoun& noun,
                             std::int64_t number) {
    Parameters parameters(workspace_id, number);
    io::Rows rows = co_await db.query(noun.find, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    co_return noun.render(rows.front());
}

io::Task<void> delete_numbered(io::Postgres& db, std::string workspace_id, const NumberedNoun& noun,
                               std::int64_t number) {
    Parameters parameters(workspace_id, number);
    io::Rows rows = co_await db.query(noun.remove, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
}

}  // namespace portal
