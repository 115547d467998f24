package dev.precis.server.review;

import dev.precis.io.Json;
import dev.precis.review.comparison.AgreementJson;
import dev.precis.review.comparison.AgreementReport;
import dev.precis.review.comparison.ComparisonSession;
import dev.precis.server.http.Exchange;
import java.nio.charset.StandardCharsets;
import tools.jackson.databind.node.ObjectNode;

/** The request of the managers' view: agreement and ranking while people work. */
final class AgreementEndpoint {
  private final ComparisonSession session;
  private byte[] report;
  private int entries = -1; // of the journal, when the report was made

  AgreementEndpoint(ComparisonSession session) {
    this.session = session;
  }

  void report(Exchange exchange, String manager) {
    exchange.send(report());
  }

  /** Returns the report, which is made again only if there is something new: it takes a while. */
  private synchronized byte[] report() {
    int now = session.entries();
    if (now != entries) {
      ObjectNode json =
          AgreementJson.of(
              AgreementReport.of(
                  session.project(), AgreementReport.DRAWS, session.project().settings().seed()));
      ComparisonSession.Progress progress = session.progress();
      ObjectNode counts = json.putObject("progress");
      counts.put("done", progress.done());
      counts.put("have", progress.have());
      counts.put("need", progress.need());
      report = Json.mapper().writeValueAsString(json).getBytes(StandardCharsets.UTF_8);
      entries = now;
    }
    return report;
  }
}
