// An answer that goes on: its host sends the headers and then whatever text comes, until either side ends it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace portal::http {

// A text to be sent to however many at once, plain and as a chunk (RFC 9112 section 7.1). Not empty.
class StreamText {
  public:
    explicit StreamText(std::string_view text);
    std::string_view plain() const { return std::string_view(chunk_).substr(head_, chunk_.size() - head_ - 2); }
    std::string_view chunk() const { return chunk_; }

  private:
    std::string chunk_;
    std::size_t head_;
};
using SharedText = std::shared_ptr<const StreamText>;

// The host's end. Neither call destroys the body there and then.
class StreamSink {
  public:
    // Takes the text whole. false: no more until StreamBody::drained().
    virtual bool send(SharedText text) noexcept = 0;
    // Nothing follows; the body is destroyed soon.
    virtual void end() noexcept = 0;

  protected:
    ~StreamSink() = default;
};

// The product's end, owned by the host; destroyed when the client has gone or the stream has ended.
class StreamBody {
  public:
    virtual ~StreamBody() = default;
    // The headers are on their way: from here on the sink may be used. Called once.
    virtual void start(StreamSink& sink) noexcept = 0;
    virtual void drained() noexcept = 0;
    // The process is going down: say what is left to say, and end.
    virtual void shutdown() noexcept = 0;
};

}  // namespace portal::http
