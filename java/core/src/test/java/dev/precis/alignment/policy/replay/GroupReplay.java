package dev.precis.alignment.policy.replay;

import dev.precis.alignment.policy.replay.DoubleTape.Node;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * GRPO and RLOO of a T5 with adapters, as TRL 1.10's trainers have their losses, in double
 * precision: the reference is the same model without its adapters.
 */
public final class GroupReplay extends PolicyReplay {
  /** A mean over tokens or responses, by TRL's names of {@code loss_type}. */
  public enum Loss {
    GRPO,
    DAPO,
    DR_GRPO,
    BNPO
  }

  /** Divisor of the scores, by TRL's names of {@code scale_rewards}. */
  public enum Scale {
    GROUP,
    BATCH,
    NONE
  }

  /** The kind of update; a test changes what it wants otherwise. */
  public static final class Settings {
    public boolean leaveOneOut;
    public boolean sequenceLevel;
    public Loss loss = Loss.GRPO;
    public Scale scale = Scale.GROUP;
    public double low = 0.2;
    public double high = 0.2;
    public double beta;
    public double learningRate = 1e-3;
    public double maxGradNorm = Double.POSITIVE_INFINITY;
    public int group = 3;
    public int longest = 16;
    public int promptsTogether = 1;
    public int accumulated = 1;
  }

  /**
   * A step's input.
   *
   * @param prompts the encoder's token ids
   * @param responses {@link Settings#group} to each prompt, each after the start token
   * @param scores of the responses
   * @param orders a permutation of the prompts for each epoch
   */
  public record Batch(
      List<int[]> prompts, List<int[]> responses, double[] scores, int[][] orders) {}

  /**
   * The numbers of an update.
   *
   * @param loss of an optimizer step
   * @param gradientNorm of it
   */
  public record Update(double loss, double gradientNorm) {}

  private final Settings settings;

  public GroupReplay(DoubleT5 model, Settings settings) {
    super(model, settings.learningRate);
    this.settings = settings;
  }

  /** Trains on a batch. */
  public List<Update> step(Batch batch) {
    int n = batch.responses().size();
    double[][] old = new double[n][];
    double[][] reference = new double[n][];
    for (int s = 0; s < n; s++) {
      old[s] = PpoFormulas.elements(logProbabilities(new DoubleTape(), batch, s, true));
      reference[s] = PpoFormulas.elements(logProbabilities(new DoubleTape(), batch, s, false));
    }
    double[] advantages = advantages(batch.scores().clone(), old, reference);
    List<Update> updates = new ArrayList<>();
    for (int[] order : batch.orders()) {
      int together = settings.promptsTogether * settings.accumulated;
      for (int at = 0; at < order.length; at += together) {
        int[] prompts = Arrays.copyOfRange(order, at, Math.min(order.length, at + together));
        updates.add(update(batch, prompts, old, reference, advantages));
      }
    }
    return updates;
  }

  private Node logProbabilities(DoubleTape tape, Batch batch, int response, boolean adapted) {
    return pass(
            tape,
            batch.prompts().get(response / settings.group),
            batch.responses().get(response),
            adapted)
        .predictions()
        .logProbabilities();
  }

  private double[] advantages(double[] rewards, double[][] old, double[][] reference) {
    int group = settings.group;
    if (settings.leaveOneOut) {
      for (int s = 0; s < rewards.length; s++) {
        for (int t = 0; t < old[s].length; t++) {
          rewards[s] -= settings.beta * (old[s][t] - reference[s][t]);
        }
      }
    }
    double[] advantages = new double[rewards.length];
    for (int s = 0; s < rewards.length; s++) {
      double[] its = Arrays.copyOfRange(rewards, s / group * group, (s / group + 1) * group);
      if (settings.leaveOneOut) {
        double others = Arrays.stream(its).sum() - rewards[s];
        advantages[s] = rewards[s] - others / (group - 1);
      } else {
        double scale =
            switch (settings.scale) {
              case GROUP -> deviation(its) + 1e-4;
              case BATCH -> deviation(rewards) + 1e-4;
              case NONE -> 1;
            };
        advantages[s] = (rewards[s] - Arrays.stream(its).average().orElseThrow()) / scale;
      }
    }
    return advantages;
  }

  private static double deviation(double[] x) {
    double mean = Arrays.stream(x).average().orElseThrow();
    return Math.sqrt(Arrays.stream(x).map(v -> (v - mean) * (v - mean)).sum() / (x.length - 1));
  }

  private Update update(
      Batch batch, int[] prompts, double[][] old, double[][] reference, double[] advantages) {
    DoubleTape tape = new DoubleTape();
    Node loss = DoubleTape.constant(new double[1][1]);
    int all = tokens(batch, prompts);
    for (int at = 0; at < prompts.length; at += settings.promptsTogether) {
      int end = Math.min(prompts.length, at + settings.promptsTogether);
      int[] part = Arrays.copyOfRange(prompts, at, end);
      Node sum = DoubleTape.constant(new double[1][1]);
      for (int prompt : part) {
        for (int s = prompt * settings.group; s < (prompt + 1) * settings.group; s++) {
          Node now = logProbabilities(tape, batch, s, true);
          double weight = weight(batch, part, all, now.rows());
          sum = tape.add(sum, weight, response(tape, now, old[s], reference[s], advantages[s]));
        }
      }
      loss = tape.add(loss, settings.loss == Loss.DAPO ? 1 : 1.0 / settings.accumulated, sum);
    }
    return new Update(loss.scalar(), step(tape, loss, settings.maxGradNorm));
  }

  private int tokens(Batch batch, int[] prompts) {
    int tokens = 0;
    for (int prompt : prompts) {
      for (int s = prompt * settings.group; s < (prompt + 1) * settings.group; s++) {
        tokens += batch.responses().get(s).length - 1;
      }
    }
    return tokens;
  }

  /** The factor of the sum over a response's tokens; RLOO's loss has one term for a response. */
  private double weight(Batch batch, int[] part, int all, int length) {
    double responses = part.length * settings.group;
    if (settings.leaveOneOut) {
      return 1 / responses;
    }
    return switch (settings.loss) {
      case GRPO -> 1 / (responses * length);
      case BNPO -> 1.0 / tokens(batch, part);
      case DR_GRPO -> 1 / (responses * settings.longest);
      case DAPO -> 1.0 / all;
    };
  }

  /** The loss of a response, summed over its tokens. */
  private Node response(
      DoubleTape tape, Node now, double[] old, double[] reference, double advantage) {
    int n = now.rows();
    double[] ones = new double[n];
    Arrays.fill(ones, 1);
    Node logRatio = tape.add(now, -1, PpoFormulas.column(old));
    Node loss;
    if (settings.sequenceLevel) {
      Node sum = tape.weightedSum(logRatio, ones);
      Node one = clipped(tape, settings.leaveOneOut ? sum : tape.scale(sum, 1.0 / n), advantage);
      loss = settings.leaveOneOut ? one : tape.scale(one, n);
    } else {
      loss = tape.weightedSum(clipped(tape, logRatio, advantage), ones);
    }
    if (settings.beta != 0 && !settings.leaveOneOut) {
      Node d = tape.add(PpoFormulas.column(reference), -1, now);
      Node k3 = tape.add(tape.add(tape.exp(d), -1, d), -1, PpoFormulas.column(ones));
      loss = tape.add(loss, settings.beta, tape.weightedSum(k3, ones));
    }
    return loss;
  }

  /** max(-r A, -clamp(r) A) of each element. */
  private Node clipped(DoubleTape tape, Node logRatio, double advantage) {
    Node ratio = tape.exp(logRatio);
    double[] ones = new double[ratio.rows()];
    Arrays.fill(ones, 1);
    Node bounded = tape.clamp(ratio, PpoFormulas.column(ones), settings.low, settings.high);
    return tape.max(tape.scale(ratio, -advantage), tape.scale(bounded, -advantage));
  }
}
