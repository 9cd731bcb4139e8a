// critest: cri-tools' specs of a container runtime, which are a test package there, as a program.
package main

import (
	"flag"
	"os"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"sigs.k8s.io/cri-tools/pkg/framework"
	_ "sigs.k8s.io/cri-tools/pkg/validate"
)

type suite struct{}

// Fail does nothing, as RunSpecs returns the same.
func (suite) Fail() {}

func main() {
	framework.RegisterFlags()
	flag.Parse()
	gomega.RegisterFailHandler(ginkgo.Fail)
	if !ginkgo.RunSpecs(suite{}, "CRI validation") {
		os.Exit(1)
	}
}
