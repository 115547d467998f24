package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.FileOptions;
import dev.precis.review.comparison.AgreementReport;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
    name = "agreement",
    header = "Measures the agreement of annotators and ranks the candidates.",
    description = {
      "Prints Cohen's kappa of each two annotators, Fleiss' kappa and Krippendorff's alpha (1:"
          + " perfect, 0: chance), how often the first place won and the p-value of that, how often"
          + " each annotator repeats an answer and meets a known one, and the Bradley-Terry"
          + " strengths of the candidates. Intervals are 95 %% of a bootstrap.",
      "It can run while people work, on the answers of that moment."
    },
    footer = {
      "",
      "Examples:",
      "  precis review agreement votes",
      "  precis review agreement votes --json | jq .alpha"
    })
final class ReviewAgreementCommand extends BaseCommand {
  @Mixin private ProjectFolder project = new ProjectFolder();
  @Mixin private FileOptions.JsonOutput jsonOutput = new FileOptions.JsonOutput();

  @Override
  public Integer call() {
    AgreementReport report =
        AgreementReport.of(project.read(), AgreementReport.DRAWS, common().seed());
    AgreementText text = new AgreementText(report);
    terminal().print(jsonOutput.json() ? text.json() + "\n" : text.table());
    return DONE;
  }
}
