// A 422 with one problem: a rule of business that only the database could judge.
#pragma once

#include "http/validation.h"

namespace portal {

inline http::Failure business_failure(const char* field, std::string sentence, http::Json input = nullptr) {
    return http::validation_failed({http::business_problem({"body", field}, std::move(sentence), std::move(input))});
}

}  // namespace portal
