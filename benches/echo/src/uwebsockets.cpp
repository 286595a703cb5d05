// uWebSockets' echo server, and its broadcast: uwebsockets echo|broadcast PORT.
//
// As its documentation has it, one thread, the limits of the other servers, no compression, no
// timers. Built by benches/echo/uwebsockets, when it is to be measured.

#include <cstdlib>
#include <iostream>
#include <string_view>

#include "App.h"

struct Nothing {};

using Socket = uWS::WebSocket<false, true, Nothing>;

int main(int count, char **words) {
    if (count != 3) {
        std::cerr << "usage: uwebsockets echo|broadcast PORT\n";
        return 2;
    }
    const bool to_everyone = std::string_view(words[1]) == "broadcast";
    uWS::App app;
    uWS::App::WebSocketBehavior<Nothing> behavior;
    behavior.compression = uWS::DISABLED;
    behavior.maxPayloadLength = 16 * 1024 * 1024;
    behavior.maxBackpressure = 64 * 1024 * 1024;
    behavior.idleTimeout = 0;
    behavior.sendPingsAutomatically = false;
    behavior.open = [to_everyone](Socket *socket) {
        if (to_everyone) socket->subscribe("everyone");
    };
    behavior.message = [to_everyone, &app](Socket *socket, std::string_view message, uWS::OpCode code) {
        if (to_everyone) app.publish("everyone", message, code);
        else socket->send(message, code);
    };
    app.ws<Nothing>("/*", std::move(behavior));
    app.listen("127.0.0.1", std::atoi(words[2]), [](auto *listening) {
        if (!listening) std::exit(1);
    });
    app.run();
}
