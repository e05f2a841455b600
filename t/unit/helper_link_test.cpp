// The frames between portal-helper and its diallers, and the dialling end's ways.
#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "helper/server.h"
#include "io/sleep.h"
#include "io/uv_loop.h"
#include "portal/helper_link.h"
#include "portal/link.h"

namespace portal {
namespace {

const Uuid some_id = *Uuid::parse("0f8fad5b-d9cb-469f-a165-70867728950e");

TEST(LinkFrames, SurviveTheRoundTrip) {
    EXPECT_EQ(link::decode(link::hello())->type, link::Type::hello);
    EXPECT_EQ(link::decode(link::bump_all())->type, link::Type::bump_all);
    EXPECT_EQ(link::decode(link::welcome(some_id))->id, some_id);
    EXPECT_EQ(link::decode(link::bump(some_id))->id, some_id);
    EXPECT_EQ(link::decode(link::beat(1234567890123))->time, 1234567890123);

    auto asked = link::decode(link::send_now(0x0123456789abcdefull, some_id));
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->type, link::Type::send_now);
    EXPECT_EQ(asked->ticket, 0x0123456789abcdefull);
    EXPECT_EQ(asked->id, some_id);

    HelperReport report;
    report[HelperFigure::mails_waiting] = 12;
    report[HelperFigure::webhooks_failed_total] = 0x0123456789abcdefull;
    auto reported = link::decode(link::figures(report));
    ASSERT_TRUE(reported);
    EXPECT_EQ(reported->report[HelperFigure::mails_waiting], 12u);
    EXPECT_EQ(reported->report[HelperFigure::webhooks_failed_total], 0x0123456789abcdefull);

    auto told = link::decode(link::sent(7, {SendOutcome::Result::refused, "550 no such user"}));
    ASSERT_TRUE(told);
    EXPECT_EQ(told->ticket, 7u);
    EXPECT_EQ(told->outcome.result, SendOutcome::Result::refused);
    EXPECT_EQ(told->outcome.reply, "550 no such user");
}

TEST(LinkFrames, CarryEvents) {
    auto asked = link::decode(link::listen(9, some_id, "contact:7"));
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->type, link::Type::listen);
    EXPECT_EQ(asked->ticket, 9u);
    EXPECT_EQ(asked->id, some_id);
    EXPECT_EQ(link::decode(link::listening(9))->ticket, 9u);
    EXPECT_EQ(link::decode(link::unlisten(some_id, "workspace"))->id, some_id);
    EXPECT_EQ(link::decode(link::gap(some_id))->id, some_id);

    std::string listen = link::listen(9, some_id, "contact:7");
    EXPECT_EQ(link::decode(listen)->audience, "contact:7");
    std::string unlisten = link::unlisten(some_id, "workspace");
    EXPECT_EQ(link::decode(unlisten)->audience, "workspace");

    std::string frame = link::event(some_id, 1234567890123, {"workspace", "company:12"}, "id: 5\n\n");
    auto told = link::decode(frame);
    ASSERT_TRUE(told);
    EXPECT_EQ(told->type, link::Type::event);
    EXPECT_EQ(told->id, some_id);
    EXPECT_EQ(told->number, 1234567890123);
    EXPECT_EQ(told->audiences, (std::vector<std::string_view>{"workspace", "company:12"}));
    EXPECT_EQ(told->text, "id: 5\n\n");
    EXPECT_FALSE(link::decode(std::string_view(frame).substr(0, frame.size() - 12)));   // an audience cut short
    std::string nameless = frame;
    nameless[27] = 0;
    EXPECT_FALSE(link::decode(nameless));
}

TEST(LinkFrames, CarryClaims) {
    auto asked = link::decode(link::claim(9, some_id, 0x01020304));
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->type, link::Type::claim);
    EXPECT_EQ(asked->ticket, 9u);
    EXPECT_EQ(asked->id, some_id);
    EXPECT_EQ(asked->limit, 0x01020304u);
    EXPECT_TRUE(link::decode(link::claimed(9, true))->granted);
    EXPECT_FALSE(link::decode(link::claimed(9, false))->granted);
    EXPECT_EQ(link::decode(link::claimed(9, false))->ticket, 9u);
    EXPECT_EQ(link::decode(link::release(some_id))->id, some_id);
    EXPECT_EQ(link::decode(link::evict(some_id))->type, link::Type::evict);
}

TEST(LinkFrames, TellAnEventTooLargeAsAGap) {
    EXPECT_EQ(link::event(some_id, 1, {"workspace"}, std::string(link::max_frame, 'x')), link::gap(some_id));
    EXPECT_EQ(link::event(some_id, 1, std::vector<std::string_view>(256, "contact:1"), "x"), link::gap(some_id));
    std::string frame = link::event(some_id, 1, {"workspace"}, std::string(link::max_frame - 37, 'x'));
    EXPECT_EQ(frame.size(), link::max_frame);
    EXPECT_EQ(link::decode(frame)->type, link::Type::event);
}

TEST(LinkFrames, HaveTheirLayout) {
    EXPECT_EQ(link::hello(), std::string("\x03\x01", 2));
    EXPECT_EQ(link::send_now(1, Uuid{}), std::string("\x03\x02\x01", 3) + std::string(23, '\0'));
    EXPECT_EQ(link::sent(258, {SendOutcome::Result::deferred, "x"}),
              std::string("\x03\x07\x02\x01\0\0\0\0\0\0\x02x", 12));
    EXPECT_EQ(link::claim(1, Uuid{}, 258),
              std::string("\x03\x0b\x01", 3) + std::string(23, '\0') + std::string("\x02\x01\0\0", 4));
    EXPECT_EQ(link::event(Uuid{}, 3, {"workspace"}, "text"),
              std::string("\x03\x0f", 2) + std::string(16, '\0') + std::string("\x03\0\0\0\0\0\0\0\x01\x09", 10) +
                  "workspacetext");
}

TEST(LinkFrames, StayBelowTheLimit) {
    std::string frame = link::sent(1, {SendOutcome::Result::sent, std::string(100000, 'x')});
    EXPECT_EQ(frame.size(), link::max_frame);
    EXPECT_TRUE(link::decode(frame));
}

TEST(LinkFrames, RefuseWhatTheyAreNot) {
    EXPECT_FALSE(link::decode(""));
    EXPECT_FALSE(link::decode("\x03"));
    EXPECT_FALSE(link::decode(std::string("\x01\x01", 2)));       // another version
    EXPECT_FALSE(link::decode(std::string("\x03\x00", 2)));       // no type
    EXPECT_FALSE(link::decode(std::string("\x03\x63", 2)));       // an unknown one
    for (const std::string& frame : {link::hello(), link::bump_all(), link::welcome(some_id), link::bump(some_id),
                                     link::beat(5), link::send_now(1, some_id), link::listening(3),
                                     link::claim(4, some_id, 8), link::claimed(4, true), link::release(some_id),
                                     link::evict(some_id), link::gap(some_id)}) {
        EXPECT_FALSE(link::decode(frame + "x")) << int(frame[1]);
        EXPECT_FALSE(link::decode(frame.substr(0, frame.size() - 1))) << int(frame[1]);
    }
    std::string told = link::sent(1, {});
    told[10] = 3;   // no such result
    EXPECT_FALSE(link::decode(told));
    std::string granted = link::claimed(1, true);
    granted[10] = 2;
    EXPECT_FALSE(link::decode(granted));
    EXPECT_FALSE(link::decode(link::listen(1, some_id, "")));
    EXPECT_FALSE(link::decode(link::unlisten(some_id, std::string(256, 'x'))));
    EXPECT_FALSE(link::decode(std::string(link::max_frame + 1, '\x02')));
}

// A helper's Server and a dialler on one loop.
class Line : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/portal-line-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        directory_ = name;
        path_ = directory_ + "/helper.sock";
    }
    void TearDown() override {
        ::unlink(path_.c_str());
        ::rmdir(directory_.c_str());
    }

    std::unique_ptr<helper::Server> serve(helper::Server::SendNow send_now = {}) {
        return std::make_unique<helper::Server>(loop_, path_, some_id, std::move(send_now));
    }
    HelperLink::Callbacks counting() {
        return {[this] { ++beats_; }, [this](const Uuid& id) { bumped_.push_back(id); }, [this] { ++bumped_all_; }, {}};
    }
    io::Task<bool> until(std::function<bool()> met) {
        for (int step = 0; step < 400; ++step) {
            if (met()) {
                co_return true;
            }
            co_await io::sleep(loop_, 5);
        }
        co_return false;
    }
    bool wait(std::function<bool()> met) { return loop_.run_task(until(std::move(met))); }

    io::UvLoop loop_{[](io::LogLevel, const char*) {}};
    std::string directory_, path_;
    int beats_ = 0;
    int bumped_all_ = 0;
    std::vector<Uuid> bumped_;
};

TEST_F(Line, IsWelcomedAndToldEverythingChanged) {
    auto server = serve();
    HelperLink link(loop_, "unix:" + path_, counting());
    EXPECT_FALSE(link.helper_id());
    ASSERT_TRUE(wait([&] { return link.helper_id().has_value(); }));
    EXPECT_EQ(*link.helper_id(), some_id);
    EXPECT_EQ(bumped_all_, 1);
}

TEST_F(Line, CarriesBeatsAndBumps) {
    auto server = serve();
    HelperLink link(loop_, path_, counting());
    ASSERT_TRUE(wait([&] { return link.helper_id().has_value(); }));
    server->beat();
    server->bump(some_id);
    server->bump_all();
    ASSERT_TRUE(wait([&] { return bumped_all_ == 2; }));
    EXPECT_EQ(beats_, 1);
    EXPECT_EQ(bumped_, std::vector<Uuid>{some_id});
}

TEST_F(Line, AsksAndIsAnswered) {
    Uuid asked;
    auto server = serve([&](const Uuid& id, helper::Server::Answer answer) {
        asked = id;
        answer({SendOutcome::Result::sent, "250 fine"});
    });
    HelperLink link(loop_, path_);
    ASSERT_TRUE(wait([&] { return link.helper_id().has_value(); }));
    SendOutcome outcome = loop_.run_task(link.send_now(some_id, 1000));
    EXPECT_EQ(asked, some_id);
    EXPECT_EQ(outcome.result, SendOutcome::Result::sent);
    EXPECT_EQ(outcome.reply, "250 fine");
}

TEST_F(Line, IsDeferredAtOnceWithoutAHelper) {
    HelperLink link(loop_, path_);
    SendOutcome outcome = loop_.run_task(link.send_now(some_id, 60000));
    EXPECT_EQ(outcome.result, SendOutcome::Result::deferred);
}

TEST_F(Line, IsDeferredWhenTheAnswerTakesTooLong) {
    helper::Server::Answer kept;
    auto server = serve([&](const Uuid&, helper::Server::Answer answer) { kept = std::move(answer); });
    HelperLink link(loop_, path_);
    ASSERT_TRUE(wait([&] { return link.helper_id().has_value(); }));
    SendOutcome outcome = loop_.run_task(link.send_now(some_id, 30));
    EXPECT_EQ(outcome.result, SendOutcome::Result::deferred);
    kept({SendOutcome::Result::sent, "late"});   // finds nobody, and harms nobody
    server->bump(some_id);
    EXPECT_TRUE(wait([&] { return link.helper_id().has_value(); }));
}

TEST_F(Line, IsDeferredWhenTheHelperGoes) {
    auto server = serve([](const Uuid&, helper::Server::Answer) {});
    HelperLink link(loop_, path_);
    ASSERT_TRUE(wait([&] { return link.helper_id().has_value(); }));
    auto asking = link.send_now(some_id, 60000);
    asking.start();
    ASSERT_TRUE(wait([&] { return server->peers() == 1; }));
    server.reset();
    ASSERT_TRUE(wait([&] { return asking.done(); }));
    EXPECT_EQ(asking.result().result, SendOutcome::Result::deferred);
    EXPECT_FALSE(link.helper_id());
}

TEST_F(Line, SurvivesACancelledAsking) {
    helper::Server::Answer kept;
    auto server = serve([&](const Uuid&, helper::Server::Answer answer) { kept = std::move(answer); });
    HelperLink link(loop_, path_, counting());
    ASSERT_TRUE(wait([&] { return link.helper_id().has_value(); }));
    auto asking = link.send_now(some_id, 60000);
    asking.start();
    ASSERT_TRUE(wait([&] { return bool(kept); }));
    asking.reset();
    kept({});
    server->bump(some_id);
    EXPECT_TRUE(wait([&] { return bumped_.size() == 1; }));
}

TEST_F(Line, GivesBackWhatNobodyWaitsForAnyMore) {
    auto server = serve();
    HelperLink link(loop_, path_);
    ASSERT_TRUE(wait([&] { return link.helper_id().has_value(); }));
    const Uuid key = Uuid::random();
    auto aborted = link.claim(key, 1);
    aborted.start();
    aborted.reset();   // it is on its way
    auto refused = link.claim(key, 1);
    refused.start();
    refused.reset();   // and so is this one, which gives back nothing
    wait([&] { return false; });
    EXPECT_EQ(loop_.run_task(link.claim(key, 1)), EventFeed::Claim::granted);
    EXPECT_EQ(loop_.run_task(link.claim(key, 1)), EventFeed::Claim::refused);

    // for one alone: the second has it, whatever became of the first
    const Uuid alone = Uuid::random();
    auto first = link.claim(alone, 0);
    auto second = link.claim(alone, 0);
    first.start();
    second.start();
    first.reset();
    ASSERT_TRUE(wait([&] { return second.done(); }));
    wait([&] { return false; });
    EXPECT_EQ(loop_.run_task(link.claim(alone, 1)), EventFeed::Claim::refused);
}

TEST_F(Line, IsDialledAgain) {
    HelperLink link(loop_, path_, counting());
    for (int round = 1; round <= 3; ++round) {
        auto server = serve();
        ASSERT_TRUE(wait([&] { return link.helper_id().has_value(); })) << round;
        EXPECT_EQ(bumped_all_, round);
        server.reset();
        ASSERT_TRUE(wait([&] { return !link.helper_id(); })) << round;
    }
}

TEST_F(Line, EndsWithAGracefulShutdown) {
    auto server = serve();
    HelperLink link(loop_, path_);
    ASSERT_TRUE(wait([&] { return link.helper_id().has_value(); }));
    loop_.shutdown();
    EXPECT_FALSE(link.helper_id());
    EXPECT_TRUE(wait([&] { return server->peers() == 0; }));
}

TEST_F(Line, CollapsesBumpsForASlowReader) {
    auto server = serve();
    int fd = ::socket(AF_UNIX, SOCK_SEQPACKET, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    std::string hello = link::hello();
    ASSERT_EQ(::send(fd, hello.data(), hello.size(), 0), ssize_t(hello.size()));
    ASSERT_TRUE(wait([&] { return server->peers() == 1; }));
    wait([&] { return false; });   // the welcome is out by then

    constexpr int told = 100000;
    for (int one = 0; one < told; ++one) {
        server->bump(some_id);
    }
    EXPECT_EQ(server->peers(), 1u);
    int received = 0;
    bool all = false;
    char buffer[256];
    ASSERT_TRUE(wait([&] {
        ssize_t size;
        while ((size = ::recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
            ++received;
            all = all || link::decode({buffer, std::size_t(size)})->type == link::Type::bump_all;
        }
        return all;
    }));
    EXPECT_LT(received, told);
    ::close(fd);
}

TEST_F(Line, IsClosedToWhoSpeaksAnotherLanguage) {
    auto server = serve();
    for (std::string frame : {std::string("\x01\x01", 2), std::string(300, '\x01'), link::bump(some_id),
                              link::send_now(1, some_id) /* before hello */}) {
        int fd = ::socket(AF_UNIX, SOCK_SEQPACKET, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
        ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
        ::send(fd, frame.data(), frame.size(), 0);
        char byte = 0;
        ASSERT_TRUE(wait([&] { return ::recv(fd, &byte, 1, MSG_DONTWAIT) == 0; }));
        EXPECT_EQ(server->peers(), 0u);
        ::close(fd);
    }
}

TEST_F(Line, ReplacesADeadSocketButNoLivingOne) {
    {
        // what a kill -9 leaves behind
        int fd = ::socket(AF_UNIX, SOCK_SEQPACKET, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
        ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
        ::close(fd);
    }
    auto server = serve();
    EXPECT_THROW(serve(), std::runtime_error);
    HelperLink link(loop_, path_);
    EXPECT_TRUE(wait([&] { return link.helper_id().has_value(); }));
}

TEST_F(Line, LeavesAFileThatIsNoSocketAlone) {
    FILE* file = std::fopen(path_.c_str(), "w");
    ASSERT_NE(file, nullptr);
    std::fclose(file);
    EXPECT_THROW(serve(), std::runtime_error);
    EXPECT_EQ(::access(path_.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace portal
