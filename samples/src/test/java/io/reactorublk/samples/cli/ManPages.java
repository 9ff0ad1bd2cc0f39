package io.reactorublk.samples.cli;

import java.io.File;
import java.io.IOException;
import picocli.codegen.docgen.manpage.ManPageGenerator;

/** Writes the sources of the man pages, one for each command, from what {@code --help} says. Run by the build. */
final class ManPages {

    private ManPages() {}

    /** With the folder to write to. */
    public static void main(String[] args) throws IOException {
        boolean[] quiet = {};
        System.exit(ManPageGenerator.generateManPage(new File(args[0]), null, quiet, true,
                ReactorUblk.commandLine(Machine.linux(), new Signals()).getCommandSpec()));
    }
}
