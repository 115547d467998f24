package dev.precis.cli.model;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Progress;
import dev.precis.hub.Hub;
import dev.precis.hub.RepositoryKind;
import java.nio.file.Path;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "download",
    header = "Downloads a model or a data set from the hub.",
    description = {
      "Downloads from the Hugging Face hub into the cache that Python's tools use too, and prints"
          + " the folder.",
      "An interrupted download continues where it stopped; checksums are verified. HF_ENDPOINT,"
          + " HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_HUB_OFFLINE and HTTPS_PROXY have their usual"
          + " meaning."
    },
    footer = {
      "",
      "Examples:",
      "  precis download google/flan-t5-base",
      "  precis download knkarthick/dialogsum --dataset",
      "  HF_TOKEN=hf_... precis download someone/private-model --revision v1"
    })
public final class DownloadCommand extends BaseCommand {
  @Parameters(paramLabel = "ID", description = "A hub ID, such as google/flan-t5-base.")
  private String id;

  @Option(
      names = "--revision",
      paramLabel = "R",
      description = "A branch, tag or commit (default: main).")
  private String revision;

  @Option(names = "--dataset", description = "Download a data set instead of a model.")
  private boolean dataset;

  @Override
  public Integer call() {
    Hub hub = new Hub(terminal().hubConfig());
    Path folder;
    try (Progress progress = new Progress(terminal(), common().quiet())) {
      folder =
          dataset
              ? hub.download(id, RepositoryKind.DATASET, revision, p -> show(progress, p))
              : hub.download(id, revision, p -> show(progress, p));
    }
    terminal().println(folder.toString());
    return DONE;
  }

  private static void show(Progress progress, Hub.Progress p) {
    String done = megabytes(p.done());
    progress.show(
        p.total() <= 0
            ? "%s  %s".formatted(p.file(), done)
            : "%s  %s of %s MB  %s"
                .formatted(
                    p.file(),
                    done,
                    megabytes(p.total()),
                    progress.left((double) p.done() / p.total())));
  }

  private static String megabytes(long bytes) {
    return String.format(Locale.ROOT, "%,.1f", bytes / 1e6);
  }
}
